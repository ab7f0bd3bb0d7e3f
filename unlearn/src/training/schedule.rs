//! The learning rate over a run.

/// Up in a line over `warmup` steps, level until `hold` of all steps, then down in a line to
/// `last` of the highest rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// How many steps the run has.
    pub steps: usize,
    /// The highest rate.
    pub learning_rate: f64,
    /// Steps of the way up.
    pub warmup: usize,
    /// Share of the steps after which the rate falls.
    pub hold: f64,
    /// The last step's share of the highest rate.
    pub last: f64,
}

impl Schedule {
    /// The rate of a step, counted from 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of steps")]
    pub fn rate(&self, step: usize) -> f64 {
        let (step, steps, warmup) = (step as f64, self.steps as f64, self.warmup as f64);
        let up = (step / warmup.max(1.0)).min(1.0);
        let level = steps * self.hold;
        let fallen = ((step - level) / (steps - level).max(1.0)).clamp(0.0, 1.0);
        self.learning_rate * up * (1.0 - fallen * (1.0 - self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_holds_and_falls() {
        let schedule = Schedule { steps: 20, learning_rate: 2.0, warmup: 4, hold: 0.5, last: 0.1 };
        let rates = [1, 2, 4, 10, 15, 20].map(|step| schedule.rate(step));
        for (rate, want) in rates.into_iter().zip([0.5, 1.0, 2.0, 2.0, 1.1, 0.2]) {
            assert!((rate - want).abs() < 1e-12, "{rates:?}");
        }
    }
}

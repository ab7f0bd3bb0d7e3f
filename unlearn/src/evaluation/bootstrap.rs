//! Bootstrap intervals: how far a number would move with other items of the same kind.
//! (Efron, "Bootstrap Methods", Annals of Statistics 1979.)

use crate::random::Random;

const RESAMPLES: usize = 10_000;
/// Fixed, so that a report can be made again to the last digit.
const SEED: u64 = 0;

/// The middle 95 % of a statistic over resampled items: low end, high end.
pub type Interval = [f64; 2];

/// The percentile interval of `statistic`, which is given `items` indices drawn with replacement.
#[must_use]
pub(crate) fn interval(items: usize, statistic: impl Fn(&[usize]) -> f64) -> Interval {
    let mut random = Random::new(SEED);
    let mut sample = vec![0; items];
    let mut values: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            sample.fill_with(|| random.below(items));
            statistic(&sample)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    [values[RESAMPLES / 40], values[RESAMPLES - 1 - RESAMPLES / 40]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    fn a_share_of_half_has_the_binomial_interval() {
        // 400 coins: standard error 2.5 points, so 95 % is 50 +- 4.9.
        let share = |s: &[usize]| 100.0 * s.iter().filter(|i| *i % 2 == 0).count() as f64 / 400.0;
        let [low, high] = interval(400, share);
        assert!((low - 45.1).abs() < 0.5 && (high - 54.9).abs() < 0.5, "{low} {high}");
        assert_eq!(interval(400, share), [low, high]);
    }

    #[test]
    fn a_constant_has_no_width() {
        assert_eq!(interval(3, |_| 7.0), [7.0, 7.0]);
    }
}

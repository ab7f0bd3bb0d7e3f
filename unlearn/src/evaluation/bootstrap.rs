//! Bootstrap intervals: how far a number would move with other items of the same kind.
//! (Efron, "Bootstrap Methods", Annals of Statistics 1979.)

use crate::random::Random;

const RESAMPLES: usize = 10_000;
/// Fixed, so that a report can be made again to the last digit.
const SEED: u64 = 0;

/// The middle 95 % of a statistic over resamples: low end, high end.
pub type Interval = [f64; 2];

/// The percentile interval of `statistic`, which is given `items` indices drawn with replacement.
#[must_use]
pub(crate) fn interval(items: usize, statistic: impl Fn(&[usize]) -> f64) -> Interval {
    interval_over_seeds(items, 1, |sample, _| statistic(sample))
}

/// The percentile interval of `statistic`, which is given `items` indices and `seeds` indices, each
/// drawn with replacement and apart from the other. Resamples that lack what the statistic divides
/// by, where it is not finite, do not count.
#[must_use]
pub(crate) fn interval_over_seeds(
    items: usize,
    seeds: usize,
    statistic: impl Fn(&[usize], &[usize]) -> f64,
) -> Interval {
    let mut random = Random::new(SEED);
    let (mut sample, mut chosen) = (vec![0; items], vec![0; seeds]);
    let mut values: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            sample.fill_with(|| random.below(items));
            chosen.fill_with(|| random.below(seeds));
            statistic(&sample, &chosen)
        })
        .filter(|value| value.is_finite())
        .collect();
    values.sort_by(f64::total_cmp);
    let tail = values.len() / 40;
    let end = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    [end(tail), end(values.len().saturating_sub(1 + tail))]
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

    #[test]
    fn resamples_without_a_value_do_not_count() {
        let share = |s: &[usize]| {
            let of = |item: usize| s.iter().filter(|i| **i == item).count() as f64;
            of(0) / (of(0) + of(1))
        };
        let [low, high] = interval(3, share);
        assert!(low.abs() < 1e-9 && (high - 1.0).abs() < 1e-9, "{low} {high}");
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    fn seeds_that_disagree_widen_the_interval() {
        let mean = |chosen: &[usize]| chosen.iter().sum::<usize>() as f64 / 3.0;
        let [low, high] = interval_over_seeds(50, 3, |_, chosen| mean(chosen));
        assert!(low < 0.5 && high > 1.5, "{low} {high}");
    }
}

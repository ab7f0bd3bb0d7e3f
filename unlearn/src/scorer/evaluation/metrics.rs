//! How good scores are, given what is true.

use serde::Serialize;

use crate::evaluation::Interval;
use crate::evaluation::bootstrap;

/// Bins of equal width for calibration.
const BINS: usize = 10;

/// A number and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// On all items.
    pub value: f64,
    /// Over items drawn anew, or Wilson's for shares.
    pub interval: Interval,
}

/// Items of a bin of scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// How many.
    pub items: usize,
    /// Their mean score.
    pub score: f64,
    /// The share that is true.
    pub share: f64,
}

/// Scores and truths, highest score first.
#[derive(Debug, Clone)]
pub(super) struct Ranking {
    scores: Vec<f64>,
    truths: Vec<bool>,
}

impl Ranking {
    pub(super) fn new(mut pairs: Vec<(f64, bool)>) -> Self {
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (scores, truths) = pairs.into_iter().unzip();
        Self { scores, truths }
    }

    pub(super) fn items(&self) -> usize {
        self.scores.len()
    }

    pub(super) fn positives(&self) -> usize {
        self.truths.iter().filter(|truth| **truth).count()
    }

    /// A statistic of how often each item counts.
    fn estimate(&self, statistic: impl Fn(&Self, &[u32]) -> f64) -> Estimate {
        let value = statistic(self, &vec![1; self.items()]);
        let interval = bootstrap::interval(self.items(), |sample| {
            let mut counts = vec![0; self.items()];
            sample.iter().for_each(|&index| counts[index] += 1);
            statistic(self, &counts)
        });
        Estimate { value, interval }
    }

    /// Area under the ROC curve: how often a true item scores higher than a false one; ties count
    /// half.
    pub(super) fn auc(&self) -> Estimate {
        self.estimate(Self::weighted_auc)
    }

    /// Mean precision at the ranks of the true items; of items with equal scores, at the last's rank.
    pub(super) fn average_precision(&self) -> Estimate {
        self.estimate(Self::weighted_average_precision)
    }

    /// Expected calibration error: the mean distance of score and truth over bins of equal width,
    /// weighted by their items. (Guo et al., "On Calibration of Modern Neural Networks", 2017.)
    pub(super) fn calibration_error(&self) -> Estimate {
        self.estimate(Self::weighted_calibration_error)
    }

    /// The bins of the reliability plot, lowest scores first.
    pub(super) fn bins(&self) -> Vec<Bin> {
        let sums = self.sums(&vec![1; self.items()]);
        let bin = |[count, score, truth]: [f64; 3]| Bin {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            items: count as usize,
            score: score / count.max(1.0),
            share: truth / count.max(1.0),
        };
        sums.into_iter().map(bin).collect()
    }

    /// Groups of equal scores: how many are true and false, highest first.
    fn groups<'a>(&'a self, counts: &'a [u32]) -> impl Iterator<Item = (f64, f64)> + 'a {
        let mut start = 0;
        std::iter::from_fn(move || {
            let score = *self.scores.get(start)?;
            let (mut positive, mut negative) = (0.0, 0.0);
            while self.scores.get(start) == Some(&score) {
                let side = if self.truths[start] { &mut positive } else { &mut negative };
                *side += f64::from(counts[start]);
                start += 1;
            }
            Some((positive, negative))
        })
    }

    fn weighted_auc(&self, counts: &[u32]) -> f64 {
        let (mut above, mut wins, mut negatives) = (0.0, 0.0, 0.0);
        for (positive, negative) in self.groups(counts) {
            wins += negative * (above + positive / 2.0);
            above += positive;
            negatives += negative;
        }
        wins / (above * negatives)
    }

    fn weighted_average_precision(&self, counts: &[u32]) -> f64 {
        let (mut rank, mut found, mut sum) = (0.0, 0.0, 0.0);
        for (positive, negative) in self.groups(counts) {
            rank += positive + negative;
            found += positive;
            if positive > 0.0 {
                sum += positive * found / rank;
            }
        }
        sum / found
    }

    fn weighted_calibration_error(&self, counts: &[u32]) -> f64 {
        let sums = self.sums(counts);
        let all: f64 = sums.iter().map(|[count, ..]| count).sum();
        sums.iter().map(|[_, score, truth]| (score - truth).abs()).sum::<f64>() / all
    }

    /// Of each bin: items, sum of scores, sum of truths.
    fn sums(&self, counts: &[u32]) -> [[f64; 3]; BINS] {
        let mut sums = [[0.0; 3]; BINS];
        for ((&score, &truth), &count) in self.scores.iter().zip(&self.truths).zip(counts) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "in 0..=BINS"
            )]
            let bin = ((score.clamp(0.0, 1.0) * BINS as f64) as usize).min(BINS - 1);
            let count = f64::from(count);
            let [items, scores, truths] = &mut sums[bin];
            *items += count;
            *scores += count * score;
            *truths += count * f64::from(u8::from(truth));
        }
        sums
    }
}

/// The share of `hits` in `items`, with Wilson's score interval (1927).
pub(super) fn share(hits: usize, items: usize) -> Estimate {
    const Z: f64 = 1.959_964;
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let (hits, n) = (hits as f64, items.max(1) as f64);
    let p = hits / n;
    let (centre, scale) = (p + Z * Z / (2.0 * n), 1.0 + Z * Z / n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let interval = [((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0)];
    Estimate { value: p, interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values by scikit-learn 1.9:
    /// ```python
    /// y = [1, 0, 1, 1, 0, 0, 1, 0]; s = [.9, .8, .7, .7, .7, .3, .2, .1]
    /// roc_auc_score(y, s), average_precision_score(y, s)
    /// ```
    #[test]
    fn curves_are_scikit_learns() {
        let scores = [0.9, 0.8, 0.7, 0.7, 0.7, 0.3, 0.2, 0.1];
        let truths = [true, false, true, true, false, false, true, false];
        let ranking = Ranking::new(scores.into_iter().zip(truths).collect());
        assert!((ranking.auc().value - 0.625000000).abs() < 1e-9);
        assert!((ranking.average_precision().value - 0.692857143).abs() < 1e-9);
        let Estimate { value, interval: [low, high] } = ranking.auc();
        assert!(low < value && value < high);
    }

    #[test]
    fn calibration_error_is_the_distance_of_score_and_share() {
        // One bin: mean score 0.25, half of them true. Another: 0.95, all true.
        let pairs = vec![(0.25, true), (0.25, false), (0.95, true), (0.95, true)];
        let ranking = Ranking::new(pairs);
        assert!((ranking.calibration_error().value - (0.5 * 0.25 + 0.5 * 0.05)).abs() < 1e-9);
        assert_eq!(ranking.bins()[2], Bin { items: 2, score: 0.25, share: 0.5 });
    }

    /// Expected values by statsmodels: `proportion_confint(8, 10, method="wilson")`.
    #[test]
    fn a_share_has_wilsons_interval() {
        let Estimate { value, interval: [low, high] } = share(8, 10);
        assert!((value - 0.8).abs() < 1e-9);
        assert!((low - 0.490_16).abs() < 1e-4 && (high - 0.943_32).abs() < 1e-4, "{low} {high}");
        assert!(share(10, 10).interval[1] > 0.999_999);
    }
}

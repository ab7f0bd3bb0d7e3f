//! From logits to probabilities that mean what they say.

use gateway_toxicity::fast::Calibration;
use gateway_toxicity::{Category, FastScorer, Scorer as _, Window};

use crate::scorer::data::Example;

/// Newton's method is done long before.
const ROUNDS: usize = 100;
/// Below this the scores would hardly depend on the text any more.
const LEAST_SLOPE: f64 = 1e-3;

/// A text's logit and whether it has the label.
pub(crate) type Pair = (f64, bool);

/// The texts whose label for `category` is known.
pub(super) fn pairs<'a>(
    scorer: &FastScorer,
    texts: impl Iterator<Item = &'a Example>,
    category: Category,
) -> Vec<Pair> {
    let known = texts.filter_map(|example| {
        let label = example.labels.get(category)?;
        Some((f64::from(highest_logit(scorer, &example.text, category)?), label >= 0.5))
    });
    known.collect()
}

/// The probability from which on flagging balances precision and recall best: the highest F1.
pub(crate) fn threshold(calibration: Calibration, pairs: &[Pair]) -> f32 {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = sorted.iter().filter(|pair| pair.1).count();
    let (mut hits, mut best, mut place) = (0, 0.0, 0.0);
    for (index, pair) in sorted.iter().enumerate() {
        hits += usize::from(pair.1);
        let next = sorted.get(index + 1).map_or(pair.0, |next| next.0);
        #[expect(clippy::cast_precision_loss, reason = "texts are few")]
        let f1 = 2.0 * hits as f64 / (index + 1 + positives) as f64;
        if next != pair.0 && f1 > best {
            (best, place) = (f1, f64::midpoint(pair.0, next));
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "stored in single precision")]
    calibration.apply(place as f32)
}

/// A whole text's logit: the highest of its windows', as its score is.
fn highest_logit(scorer: &FastScorer, text: &str, category: Category) -> Option<f32> {
    let cut = scorer.windows().cut(text);
    let logit = |window: &Window| {
        let logits = scorer.logits(window.text());
        logits.into_iter().find(|(known, _)| *known == category).map(|(_, logit)| logit)
    };
    cut.iter().filter_map(logit).reduce(f32::max)
}

/// Maximum-likelihood slope and offset for pairs of logit and truth, by Newton's method with Platt's
/// smoothed targets. (Lin, Lin and Weng, "A Note on Platt's Probabilistic Outputs", 2007.)
pub(crate) fn fit(pairs: &[Pair]) -> Option<Calibration> {
    #[expect(clippy::cast_precision_loss, reason = "texts are few")]
    let count = |truth: bool| pairs.iter().filter(|pair| pair.1 == truth).count() as f64;
    let (with, without) = (count(true), count(false));
    if with == 0.0 || without == 0.0 {
        return None;
    }
    let target = |truth| if truth { (with + 1.0) / (with + 2.0) } else { 1.0 / (without + 2.0) };
    let (mut slope, mut offset) = (1.0, 0.0);
    for _ in 0..ROUNDS {
        // Gradient and curvature of the likelihood; the small number keeps the system solvable.
        let (mut g1, mut g0, mut h11, mut h10, mut h00) = (0.0, 0.0, 1e-9, 0.0, 1e-9);
        for &(logit, truth) in pairs {
            let p = 1.0 / (1.0 + f64::exp(-(slope * logit + offset)));
            let (error, curve) = (target(truth) - p, p * (1.0 - p));
            g1 += error * logit;
            g0 += error;
            h11 += curve * logit * logit;
            h10 += curve * logit;
            h00 += curve;
        }
        let determinant = h11 * h00 - h10 * h10;
        let (step1, step0) =
            ((g1 * h00 - g0 * h10) / determinant, (g0 * h11 - g1 * h10) / determinant);
        // Steps are bounded: far from the end the curvature can be almost nothing.
        slope += step1.clamp(-1.0, 1.0);
        offset += step0.clamp(-1.0, 1.0);
        if step1.abs() + step0.abs() < 1e-10 {
            break;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "stored in single precision")]
    let calibration = Calibration { slope: slope.max(LEAST_SLOPE) as f32, offset: offset as f32 };
    Some(calibration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_line_that_made_the_labels_is_found() {
        let mut random = Random::new(11);
        let pairs: Vec<_> = (0..20_000)
            .map(|_| {
                let logit = f64::from(random.unit()) * 8.0 - 4.0;
                let p = 1.0 / (1.0 + f64::exp(-(0.6 * logit - 1.1)));
                (logit, f64::from(random.unit()) < p)
            })
            .collect();
        let found = fit(&pairs).unwrap();
        assert!((found.slope - 0.6).abs() < 0.03 && (found.offset + 1.1).abs() < 0.06, "{found:?}");
    }

    #[test]
    fn the_threshold_lies_where_f1_is_highest() {
        let plain = Calibration { slope: 1.0, offset: 0.0 };
        let pairs =
            [(3.0, true), (2.0, true), (1.0, false), (0.0, true), (-1.0, false), (-2.0, false)];
        // Down to 2: F1 = 4/5. Down to 0: 6/7.
        assert!((threshold(plain, &pairs) - plain.apply(-0.5)).abs() < 1e-6);
    }

    #[test]
    fn one_kind_of_label_alone_cannot_be_calibrated() {
        assert!(fit(&[(1.0, true), (2.0, true)]).is_none());
        assert!(fit(&[]).is_none());
    }
}

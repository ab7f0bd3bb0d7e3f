//! From logits to probabilities that mean what they say.

use gateway_toxicity::fast::Calibration;
use gateway_toxicity::{Category, Scores};

/// Newton's method is done long before.
const ROUNDS: usize = 100;
/// Below this the scores would hardly depend on the text any more.
const LEAST_SLOPE: f64 = 1e-3;

/// A text's logit and whether it has the label.
type Pair = (f64, bool);

/// A logit for each category.
pub(super) type Logits = Vec<(Category, f32)>;

/// What a text is, and what a scorer that is not calibrated yet says of it.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) labels: Scores,
    pub(super) logits: Logits,
}

/// A whole text's logits: the highest of its windows', as its scores are.
pub(super) fn highest(windows: impl IntoIterator<Item = Logits>) -> Logits {
    let higher = |highest: Logits, window: Logits| {
        let pairs = highest.into_iter().zip(window);
        pairs.map(|((category, high), (_, logit))| (category, high.max(logit))).collect()
    };
    windows.into_iter().reduce(higher).unwrap_or_default()
}

/// A category's calibration on `real` texts, and its threshold where it tells those and the
/// grammar's `sentences` apart best: real texts say how likely harm is, the grammar what it looks
/// like. `None` if the real texts lack one of the two labels.
pub(super) fn of_category(
    real: &[Judged],
    sentences: &[Judged],
    category: Category,
) -> Option<(Calibration, f32)> {
    let mut known = pairs(real, category);
    let calibration = fit(&known)?;
    known.extend(pairs(sentences, category));
    Some((calibration, threshold(calibration, &known)))
}

/// Logit and truth of the texts whose label for `category` is known.
fn pairs(texts: &[Judged], category: Category) -> Vec<Pair> {
    let pair = |text: &Judged| {
        let logit = text.logits.iter().find(|(known, _)| *known == category)?.1;
        Some((f64::from(logit), text.labels.get(category)? >= 0.5))
    };
    texts.iter().filter_map(pair).collect()
}

/// The probability from which on flagging balances precision and recall best: the highest F1.
fn threshold(calibration: Calibration, pairs: &[Pair]) -> f32 {
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

/// Maximum-likelihood slope and offset for pairs of logit and truth, by Newton's method with Platt's
/// smoothed targets. (Lin, Lin and Weng, "A Note on Platt's Probabilistic Outputs", 2007.)
pub(super) fn fit(pairs: &[Pair]) -> Option<Calibration> {
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

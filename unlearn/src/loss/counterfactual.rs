//! A phrase must not become likelier because one group is named and not another.
//!
//! Both losses compare what a model says after a text and after the same text with the group
//! swapped, at positions that say the same in both.

use candle_core::{D, Result, Tensor};
use candle_nn::ops;

use super::columns;
use super::cross_entropy::{cross_entropy, entropy};

/// `mean min((log p - log p')^2, limit)` over aligned positions: `original` and `swapped` (N) are
/// the log-likelihoods of the same tokens in both texts.
///
/// # Errors
/// candle's, if shapes do not fit.
pub fn squared_gap(original: &Tensor, swapped: &Tensor, limit: f64) -> Result<Tensor> {
    (original - swapped)?.sqr()?.minimum(limit)?.mean_all()
}

/// `mean (KL(q || p) + KL(q || p')) / 2`, where `q` is the mean of what the base model says after
/// both texts. All are logits (N, V); those of the swapped text have the columns of exchanged group
/// words exchanged, so that "he" there is compared with "she" here.
///
/// # Errors
/// candle's, if shapes do not fit.
pub fn mixture(original: &Tensor, swapped: &Tensor, reference: [&Tensor; 2]) -> Result<Tensor> {
    let [one, two] = reference.map(|logits| ops::softmax(&logits.detach(), D::Minus1));
    let q = ((one? + two?)? * 0.5)?;
    let to_both = ((cross_entropy(original, &q)? + cross_entropy(swapped, &q)?)? * 0.5)?;
    (to_both - entropy(&q)?)?.mean_all()
}

/// `mean sum_v w_v (log p_v - log p'_v)^2` over aligned positions, with `w` the softmax of the mean
/// of both base log-probabilities times `temper`: a gap not of the token that stands there alone but
/// of all that could. At `temper` 1 likely tokens count alone; towards 0 rare ones count too, and
/// stereotypes are rare. Columns that `left_out` (N lists) names for a row have no weight there:
/// the words that name a group must follow the group.
///
/// All are logits (N, V), with exchanged columns as in [`mixture`].
///
/// # Errors
/// candle's, if shapes do not fit or a column is outside the vocabulary.
pub fn tempered_gap(
    original: &Tensor,
    swapped: &Tensor,
    reference: [&Tensor; 2],
    temper: f64,
    left_out: &[&[u32]],
) -> Result<Tensor> {
    let [one, two] = reference.map(|logits| ops::log_softmax(&logits.detach(), D::Minus1));
    let weights = ((one? + two?)? * (temper / 2.0))?;
    let weights = ops::softmax(&without(&weights, left_out)?, D::Minus1)?;
    let gap = (ops::log_softmax(original, D::Minus1)? - ops::log_softmax(swapped, D::Minus1)?)?;
    (weights * gap.sqr()?)?.sum(D::Minus1)?.mean_all()
}

/// Logits (N, V) with minus infinity in the columns of each row's list.
fn without(logits: &Tensor, left_out: &[&[u32]]) -> Result<Tensor> {
    let named = left_out.iter().copied().flatten().copied();
    let (rows, width) = columns::shape(logits, left_out.len(), named)?;
    let mut values: Vec<f32> = logits.flatten_all()?.to_vec1()?;
    for (row, columns) in values.chunks_exact_mut(width).zip(left_out) {
        columns.iter().for_each(|column| row[*column as usize] = f32::NEG_INFINITY);
    }
    Tensor::from_vec(values, (rows, width), logits.device())
}

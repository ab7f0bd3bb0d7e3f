//! A phrase must not become likelier because one group is named and not another.
//!
//! Both losses compare what a model says after a text and after the same text with the group
//! swapped, at positions that say the same in both.

use candle_core::{D, Result, Tensor};
use candle_nn::ops;

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
/// stereotypes are rare.
///
/// All are logits (N, V), with exchanged columns as in [`mixture`].
///
/// # Errors
/// candle's, if shapes do not fit.
pub fn tempered_gap(
    original: &Tensor,
    swapped: &Tensor,
    reference: [&Tensor; 2],
    temper: f64,
) -> Result<Tensor> {
    let [one, two] = reference.map(|logits| ops::log_softmax(&logits.detach(), D::Minus1));
    let weights = ops::softmax(&((one? + two?)? * (temper / 2.0))?, D::Minus1)?;
    let gap = (ops::log_softmax(original, D::Minus1)? - ops::log_softmax(swapped, D::Minus1)?)?;
    (weights * gap.sqr()?)?.sum(D::Minus1)?.mean_all()
}

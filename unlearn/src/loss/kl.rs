//! Staying close to the base model.

use candle_core::{D, Result, Tensor};
use candle_nn::ops;

use super::cross_entropy::{cross_entropy, entropy};

/// `mean KL(p_ref || p)` over positions: `logits` with the adapter and `reference` without it, both
/// (N, V).
///
/// # Errors
/// candle's, if shapes do not fit.
pub fn kl(logits: &Tensor, reference: &Tensor) -> Result<Tensor> {
    let q = ops::softmax(&reference.detach(), D::Minus1)?;
    (cross_entropy(logits, &q)? - entropy(&q)?)?.mean_all()
}

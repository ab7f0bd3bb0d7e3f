//! Unlearning by self-distillation with adjusted logits (Dong et al., "UNDIAL", arXiv 2402.10052).

use candle_core::{D, Result, Tensor};
use candle_nn::ops;

use super::cross_entropy::{cross_entropy, entropy};

/// `mean KL(q || p)` over the masked tokens, where `q = softmax(reference - strength * onehot)`:
/// what the base model would say if the token were less likely. Bounded, and it ascends nothing.
///
/// `logits` and `reference` are (N, V), `targets` (N) u32.
///
/// # Errors
/// candle's, if shapes do not fit.
pub fn undial(
    logits: &Tensor,
    reference: &Tensor,
    targets: &Tensor,
    strength: f64,
) -> Result<Tensor> {
    let (rows, _) = reference.dims2()?;
    #[expect(clippy::cast_possible_truncation, reason = "a logit")]
    let lowering = Tensor::full(-strength as f32, (rows, 1), reference.device())?;
    let lowering = lowering.to_dtype(reference.dtype())?;
    let adjusted = reference.detach().scatter_add(&targets.unsqueeze(1)?, &lowering, 1)?;
    let q = ops::softmax(&adjusted, D::Minus1)?;
    (cross_entropy(logits, &q)? - entropy(&q)?)?.mean_all()
}

//! Who is spoken of stays who it was.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::ops;

use super::columns;
use super::kl::kl;

/// What stands where a row has fewer columns than others: a logit of no weight, and finite, since 0
/// times infinity is no number.
const NOTHING: f32 = -1e4;

/// `mean KL(p_ref || p)` over positions, of the distributions among the columns that `naming` (N
/// lists) names for each row alone: how much likelier "she" is than "he" may not change, however
/// likely both together are. `logits` with the adapter and `reference` without it, both (N, V).
///
/// # Errors
/// candle's, if shapes do not fit or a column is outside the vocabulary.
pub fn agreement(logits: &Tensor, reference: &Tensor, naming: &[&[u32]]) -> Result<Tensor> {
    let (rows, _) =
        columns::shape(logits, naming.len(), naming.iter().copied().flatten().copied())?;
    let longest = naming.iter().map(|columns| columns.len()).max().unwrap_or(0);
    if longest == 0 {
        return Tensor::zeros((), DType::F32, logits.device());
    }
    let lacking = |columns: &&[u32]| longest - columns.len();
    let indices: Vec<u32> = naming
        .iter()
        .flat_map(|columns| columns.iter().copied().chain(std::iter::repeat_n(0, lacking(columns))))
        .collect();
    let padding: Vec<f32> = naming
        .iter()
        .flat_map(|columns| {
            let kept = std::iter::repeat_n(0.0, columns.len());
            kept.chain(std::iter::repeat_n(NOTHING, lacking(columns)))
        })
        .collect();
    let shape = (rows, longest);
    let indices = Tensor::from_vec(indices, shape, logits.device())?;
    let padding = Tensor::from_vec(padding, shape, logits.device())?;
    // Likelihoods first: beside logits of any size the padding would not be nothing.
    let among = |logits: &Tensor| -> Result<Tensor> {
        ops::log_softmax(logits, D::Minus1)?.gather(&indices, 1)? + &padding
    };
    kl(&among(logits)?, &among(reference)?)
}

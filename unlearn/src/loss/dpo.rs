//! Direct preference optimisation (Rafailov et al., arXiv 2305.18290).

use candle_core::{Result, Tensor};

use super::npo::{rises, softplus};

/// `mean -log sigmoid(beta (r_preferred - r_other))` over pairs of sequences, where `r` is the sum of
/// `log p - log p_ref` over a sequence's masked tokens: bounded below by 0, and its gradient fades
/// as the preferred sequence becomes the likelier of the two.
///
/// `log_likelihood` and `reference` (N) belong to the same tokens. `sequences` (N) u32 says which
/// sequence each token is in: 0 to `pairs` for the preferred, and as many after them for the others,
/// in the same order.
///
/// # Errors
/// candle's, if shapes do not fit.
pub fn dpo(
    log_likelihood: &Tensor,
    reference: &Tensor,
    sequences: &Tensor,
    pairs: usize,
    beta: f64,
) -> Result<Tensor> {
    let rise = rises(log_likelihood, reference, sequences, 2 * pairs)?;
    let lead = (rise.narrow(0, 0, pairs)? - rise.narrow(0, pairs, pairs)?)?;
    softplus(&(lead * -beta)?)?.mean_all()
}

//! Negative preference optimisation (Zhang et al., arXiv 2404.05868).

use candle_core::{Result, Tensor};

/// `(2/beta) mean log(1 + (p/p_ref)^beta)` over sequences, where `p` and `p_ref` are the likelihoods
/// of all masked tokens of a sequence together: bounded below by 0, and ascent's gradient times a
/// weight that starts at 1 and goes to 0 as a sequence is forgotten.
///
/// `log_likelihood` and `reference` (N) belong to the same tokens, `sequences` (N) u32 says which of
/// the `count` sequences each token is in.
///
/// # Errors
/// candle's, if shapes do not fit.
pub fn npo(
    log_likelihood: &Tensor,
    reference: &Tensor,
    sequences: &Tensor,
    count: usize,
    beta: f64,
) -> Result<Tensor> {
    let ratio = (rises(log_likelihood, reference, sequences, count)? * beta)?;
    softplus(&ratio)?.mean_all()? * (2.0 / beta)
}

/// By how much all tokens of a sequence together are likelier than by the reference, of each of
/// `count` sequences.
pub(super) fn rises(
    log_likelihood: &Tensor,
    reference: &Tensor,
    sequences: &Tensor,
    count: usize,
) -> Result<Tensor> {
    let rise = (log_likelihood - reference.detach())?;
    let zeros = Tensor::zeros(count, rise.dtype(), rise.device())?;
    zeros.index_add(sequences, &rise, 0)
}

/// `log(1 + e^x)`, without overflow: `max(x, 0) + log(1 + e^-|x|)`.
pub(super) fn softplus(x: &Tensor) -> Result<Tensor> {
    let tail = (x.abs()?.neg()?.exp()? + 1.0)?.log()?;
    x.relu()? + tail
}

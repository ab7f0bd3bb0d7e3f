//! Negative log-likelihood: the loss of ordinary fine-tuning. It keeps neutral text likely, and on
//! harmful text it makes the adapter whose sign is flipped at the end (task-vector negation,
//! Ilharco et al., "Editing Models with Task Arithmetic", arXiv 2212.04089; for low-rank factors
//! Zhang et al., arXiv 2306.14870).

use candle_core::{Result, Tensor};

/// `-mean log p` over the tokens, whose log-likelihoods are given (N).
///
/// # Errors
/// candle's.
pub fn nll(log_likelihood: &Tensor) -> Result<Tensor> {
    log_likelihood.mean_all()?.neg()
}

//! Masked gradient ascent (Lu et al., "Towards Transfer Unlearning", arXiv 2407.16951).

use candle_core::{Result, Tensor};

/// `mean max(log p, floor)` over the masked tokens, whose log-likelihoods are given (N): descending
/// it makes them unlikely. Without a floor it has no lower bound; with one, a token that is less
/// likely than that is left alone.
///
/// # Errors
/// candle's.
pub fn ascent(log_likelihood: &Tensor, floor: Option<f64>) -> Result<Tensor> {
    match floor {
        None => log_likelihood.mean_all(),
        Some(floor) => log_likelihood.maximum(floor)?.mean_all(),
    }
}

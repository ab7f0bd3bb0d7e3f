//! How far the model has moved on text that it should go on reading as before.

use candle_core::{Device, Tensor};
use model::{Control, Delta, DenseDecoder, ModelError, NoDelta, Tokenizer, TokenizerError};
use serde::{Deserialize, Serialize};

use super::batch::{Batch, logits};
use crate::loss::kl::kl;
use crate::loss::likelihood::log_likelihood;

/// Tokens of a window, and how many windows there are.
const WINDOW: usize = 256;
const WINDOWS: usize = 6;
/// Windows of which the base's whole distributions are kept.
const KEPT: usize = 1;

/// Neutral text and what the base says of it.
pub(super) struct Guard {
    windows: Vec<Vec<u32>>,
    /// Logits of the first windows' positions.
    kept: Vec<Tensor>,
    base_perplexity: f64,
    device: Device,
}

/// How far a delta has moved the model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// Perplexity as a multiple of the base's.
    pub perplexity: f64,
    /// KL from the base, in nats a token.
    pub kl: f64,
}

/// Why the guard cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The text has fewer than two tokens.
    #[error("the guard's text is too short")]
    TooShort,
}

impl Guard {
    pub(super) fn new(
        text: &str,
        tokenizer: &Tokenizer,
        decoder: &DenseDecoder,
        device: &Device,
    ) -> Result<Self, GuardError> {
        let tokens = tokenizer.encode(text, Control::AsText)?;
        let windows = tokens.chunks(WINDOW).filter(|window| window.len() > 1).take(WINDOWS);
        let windows: Vec<Vec<u32>> = windows.map(<[u32]>::to_vec).collect();
        if windows.is_empty() {
            return Err(GuardError::TooShort);
        }
        let device = device.clone();
        let mut guard = Self { windows, kept: Vec::new(), base_perplexity: 1.0, device };
        let (perplexity, kept) = guard.read(decoder, &NoDelta)?;
        guard.base_perplexity = perplexity;
        guard.kept = kept;
        Ok(guard)
    }

    /// Measures `delta`, which must hold no variables: no graph is needed here.
    pub(super) fn measure(
        &self,
        decoder: &DenseDecoder,
        delta: &dyn Delta<Tensor>,
    ) -> Result<Drift, ModelError> {
        let (perplexity, now) = self.read(decoder, delta)?;
        let mut sum = 0.0;
        for (now, base) in now.iter().zip(&self.kept) {
            sum += f64::from(kl(now, base)?.to_scalar::<f32>()?);
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of windows")]
        let kl = sum / self.kept.len() as f64;
        Ok(Drift { perplexity: perplexity / self.base_perplexity, kl })
    }

    /// Perplexity over all windows, and the logits of the first ones.
    fn read(
        &self,
        decoder: &DenseDecoder,
        delta: &dyn Delta<Tensor>,
    ) -> Result<(f64, Vec<Tensor>), ModelError> {
        let (mut sum, mut count, mut kept) = (0.0, 0, Vec::new());
        for window in &self.windows {
            let batch = Batch::new(&[window], &self.device)?;
            let rows: Vec<u32> = (1..window.len()).map(|at| batch.row(0, at)).collect();
            let says = logits(decoder, &batch.hidden(decoder, delta)?, &rows)?;
            let targets = Tensor::new(&window[1..], &self.device)?;
            sum -= f64::from(log_likelihood(&says, &targets)?.sum_all()?.to_scalar::<f32>()?);
            count += rows.len();
            if kept.len() < KEPT {
                kept.push(says);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
        let perplexity = (sum / count as f64).exp();
        Ok((perplexity, kept))
    }
}

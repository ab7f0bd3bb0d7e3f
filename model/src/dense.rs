//! The decoder on candle tensors: exact f32, differentiable, any device.
//!
//! For evaluation and training. Every operation has a backward pass, which gives gradients to
//! activations and never to base weights; there is no cache, a sequence is computed whole. On a
//! CPU in f32 the operations between the products are fused; elsewhere they are candle's own.

mod cpu;
mod frozen;
mod gate;
mod heads;
mod norm;
mod pass;
mod recording;
mod softmax;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use self::frozen::Frozen;
use self::pass::Pass;
pub use self::recording::Recording;
use crate::checkpoint::{Checkpoint, CheckpointError, Weight};
use crate::kernels::elementwise::Rotation;
use crate::{Config, Delta, ModelError, Projection, Site, decoder};

/// The weights of a decoder as dense tensors.
#[derive(Debug)]
pub struct DenseDecoder {
    config: Config,
    embedding: Tensor,
    head: Frozen,
    final_norm: Tensor,
    layers: Vec<Layer>,
    rotation: Arc<Rotation>,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Tensor,
    mlp_norm: Tensor,
    /// In the order of [`Projection::ALL`], each (outputs, inputs).
    linears: Vec<Frozen>,
}

impl DenseDecoder {
    /// Reads all weights to `device` as `dtype`.
    ///
    /// On a CPU, `BF16` holds the linear layers' weights in brain floats and everything else, the
    /// activations included, in f32.
    ///
    /// # Errors
    /// [`CheckpointError`] if a weight is missing or has the wrong shape, or the processor does not
    /// multiply values of that type.
    pub fn load(
        checkpoint: &dyn Checkpoint,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, CheckpointError> {
        let config = checkpoint.config().clone();
        let kept = if device.is_cpu() { DType::F32 } else { dtype };
        let read = |weight| -> Result<Tensor, CheckpointError> {
            Ok(checkpoint.dense(weight)?.to_dtype(kept)?.to_device(device)?)
        };
        let linear = |weight| -> Result<Frozen, CheckpointError> {
            Ok(Frozen::new(&checkpoint.dense(weight)?, dtype, device)?)
        };
        let head = if checkpoint.has_head() { Weight::Head } else { Weight::Embedding };
        let layers = (0..config.layers)
            .map(|layer| {
                Ok(Layer {
                    attention_norm: read(Weight::AttentionNorm(layer))?,
                    mlp_norm: read(Weight::MlpNorm(layer))?,
                    linears: Projection::ALL
                        .into_iter()
                        .map(|p| linear(Weight::Linear(Site::new(layer, p))))
                        .collect::<Result<_, CheckpointError>>()?,
                })
            })
            .collect::<Result<_, CheckpointError>>()?;
        let rotation = Rotation::new(config.rope_theta, config.head_dim, config.context_tokens);
        Ok(Self {
            embedding: read(Weight::Embedding)?,
            head: linear(head)?,
            final_norm: read(Weight::FinalNorm)?,
            layers,
            rotation: Arc::new(rotation),
            config,
        })
    }

    /// The hyper-parameters.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Where its weights are.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.embedding.device()
    }

    /// Hidden states after the final norm: `tokens` (B, T) u32, right-padded, gives
    /// (B, T, hidden). Attention is causal, so padding never reaches a real token.
    ///
    /// # Errors
    /// [`ModelError`] if a token is outside the vocabulary or candle refuses.
    pub fn hidden(&self, tokens: &Tensor, delta: &dyn Delta<Tensor>) -> Result<Tensor, ModelError> {
        let (batch, length) = tokens.dims2()?;
        let x = self.embedding.index_select(&tokens.flatten_all()?, 0)?;
        let mut pass = Pass::new(self, delta, batch, length)?;
        let x = decoder::forward(&mut pass, self.config.layers, x)?;
        Ok(x.reshape((batch, length, self.config.hidden))?)
    }

    /// Logits of hidden states: (rows, hidden) gives (rows, vocabulary).
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if the width is wrong.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.head.apply(hidden)?)
    }
}

//! The decoder on candle tensors: exact f32, differentiable, any device.
//!
//! For evaluation and training. Only operations with a backward pass are used; there is no cache,
//! a sequence is computed whole.

use candle_core::{D, DType, Device, Tensor};
use candle_nn::ops;
use candle_nn::rotary_emb::rope_slow;

use crate::checkpoint::{Checkpoint, CheckpointError, Weight};
use crate::decoder::{self, Backend, Norm};
use crate::kernels::elementwise::frequencies;
use crate::{Config, Delta, ModelError, Projection, Site};

/// The weights of a decoder as dense tensors.
#[derive(Debug)]
pub struct DenseDecoder {
    config: Config,
    embedding: Tensor,
    head: Tensor,
    final_norm: Tensor,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Tensor,
    mlp_norm: Tensor,
    /// In the order of [`Projection::ALL`], each (outputs, inputs).
    linears: Vec<Tensor>,
}

impl DenseDecoder {
    /// Reads all weights to `device` as `dtype`.
    ///
    /// # Errors
    /// [`CheckpointError`] if a weight is missing or has the wrong shape.
    pub fn load(
        checkpoint: &dyn Checkpoint,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, CheckpointError> {
        let config = checkpoint.config().clone();
        let read = |weight| -> Result<Tensor, CheckpointError> {
            Ok(checkpoint.dense(weight)?.to_dtype(dtype)?.to_device(device)?)
        };
        let embedding = read(Weight::Embedding)?;
        let head = if checkpoint.has_head() { read(Weight::Head)? } else { embedding.clone() };
        let layers = (0..config.layers)
            .map(|layer| {
                Ok(Layer {
                    attention_norm: read(Weight::AttentionNorm(layer))?,
                    mlp_norm: read(Weight::MlpNorm(layer))?,
                    linears: Projection::ALL
                        .into_iter()
                        .map(|p| read(Weight::Linear(Site::new(layer, p))))
                        .collect::<Result<_, CheckpointError>>()?,
                })
            })
            .collect::<Result<_, CheckpointError>>()?;
        Ok(Self { config, embedding, head, final_norm: read(Weight::FinalNorm)?, layers })
    }

    /// The hyper-parameters.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Hidden states after the final norm: `tokens` (B, T) u32, right-padded, gives
    /// (B, T, hidden). Attention is causal, so padding never reaches a real token.
    ///
    /// # Errors
    /// [`ModelError`] if a token is outside the vocabulary or candle refuses.
    pub fn hidden(&self, tokens: &Tensor, delta: &dyn Delta<Tensor>) -> Result<Tensor, ModelError> {
        let (batch, length) = tokens.dims2()?;
        let ids = tokens.flatten_all()?;
        let x =
            self.embedding.index_select(&ids, 0)?.reshape((batch, length, self.config.hidden))?;
        let (cos, sin) = self.angles(length, x.dtype(), x.device())?;
        let mask = causal_mask(length, x.dtype(), x.device())?;
        let mut pass = Pass { model: self, cos, sin, mask };
        decoder::forward(&mut pass, self.config.layers, delta, x)
    }

    /// Logits of hidden states: (.., hidden) gives (.., vocabulary).
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if the width is wrong.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        Ok(hidden.broadcast_matmul(&self.head.t()?)?)
    }

    /// Cosines and sines (T, head_dim / 2) of the rotary embedding's angles.
    fn angles(
        &self,
        length: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<(Tensor, Tensor), ModelError> {
        let frequencies = frequencies(self.config.rope_theta, self.config.head_dim);
        let frequencies = Tensor::new(frequencies, device)?.unsqueeze(0)?;
        #[expect(clippy::cast_possible_truncation, reason = "a context's length")]
        let positions = Tensor::arange(0, length as u32, device)?.to_dtype(DType::F32)?;
        let angles = positions.reshape((length, 1))?.broadcast_mul(&frequencies)?;
        Ok((angles.cos()?.to_dtype(dtype)?, angles.sin()?.to_dtype(dtype)?))
    }
}

/// 0 where a token may look, minus infinity where it may not: (T, T).
fn causal_mask(length: usize, dtype: DType, device: &Device) -> Result<Tensor, ModelError> {
    let mask: Vec<f32> = (0..length)
        .flat_map(|i| (0..length).map(move |j| if j > i { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    Ok(Tensor::from_vec(mask, (length, length), device)?.to_dtype(dtype)?)
}

/// One forward pass.
struct Pass<'a> {
    model: &'a DenseDecoder,
    cos: Tensor,
    sin: Tensor,
    mask: Tensor,
}

impl Pass<'_> {
    /// (B, T, heads * head_dim) to (B, heads, T, head_dim).
    fn split(&self, x: &Tensor, heads: usize) -> Result<Tensor, ModelError> {
        let (batch, length, _) = x.dims3()?;
        let shape = (batch, length, heads, self.model.config.head_dim);
        Ok(x.reshape(shape)?.transpose(1, 2)?.contiguous()?)
    }

    /// Repeats each key head for the query heads that share it.
    fn repeat(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let (batch, kv_heads, length, dim) = x.dims4()?;
        let shared = self.model.config.heads / kv_heads;
        let x = x.unsqueeze(2)?.expand((batch, kv_heads, shared, length, dim))?;
        Ok(x.reshape((batch, kv_heads * shared, length, dim))?.contiguous()?)
    }
}

impl Backend for Pass<'_> {
    type Rows = Tensor;

    fn norm(&mut self, norm: Norm, x: &Tensor) -> Result<Tensor, ModelError> {
        let weight = match norm {
            Norm::Attention(layer) => &self.model.layers[layer].attention_norm,
            Norm::Mlp(layer) => &self.model.layers[layer].mlp_norm,
            Norm::Final => &self.model.final_norm,
        };
        #[expect(clippy::cast_possible_truncation, reason = "a small constant")]
        let epsilon = self.model.config.norm_epsilon as f32;
        Ok(ops::rms_norm_slow(x, weight, epsilon)?)
    }

    fn linear<const N: usize>(
        &mut self,
        layer: usize,
        projections: [Projection; N],
        x: &Tensor,
    ) -> Result<[Tensor; N], ModelError> {
        let layer = &self.model.layers[layer];
        // Copies of a tensor are references; each is replaced.
        let mut outputs: [Tensor; N] = std::array::from_fn(|_| x.clone());
        for (output, projection) in outputs.iter_mut().zip(projections) {
            let weight = &layer.linears[projection as usize];
            *output = x.broadcast_matmul(&weight.t()?)?;
        }
        Ok(outputs)
    }

    fn attend(&mut self, _: usize, q: Tensor, k: Tensor, v: Tensor) -> Result<Tensor, ModelError> {
        let config = &self.model.config;
        let q = rope_slow(&self.split(&q, config.heads)?, &self.cos, &self.sin)?;
        let k = rope_slow(&self.split(&k, config.kv_heads)?, &self.cos, &self.sin)?;
        let (k, v) = (self.repeat(&k)?, self.repeat(&self.split(&v, config.kv_heads)?)?);
        #[expect(clippy::cast_precision_loss, reason = "a head's width")]
        let scale = 1.0 / (config.head_dim as f64).sqrt();
        let scores = (q.contiguous()?.matmul(&k.t()?.contiguous()?)? * scale)?;
        let weights = ops::softmax(&scores.broadcast_add(&self.mask)?, D::Minus1)?;
        let (batch, _, length, _) = q.dims4()?;
        let out = weights.matmul(&v)?.transpose(1, 2)?;
        Ok(out.reshape((batch, length, config.heads * config.head_dim))?)
    }

    fn gate(&mut self, gate: Tensor, up: Tensor) -> Result<Tensor, ModelError> {
        Ok((gate.silu()? * up)?)
    }

    fn add(&mut self, x: &mut Tensor, y: Tensor) -> Result<(), ModelError> {
        *x = (&*x + y)?;
        Ok(())
    }
}

//! One forward pass.

use candle_core::{DType, Device, Tensor};

use super::heads::Heads;
use super::{DenseDecoder, cpu, gate, norm, softmax};
use crate::decoder::{Backend, Norm};
use crate::kernels::elementwise::frequencies;
use crate::{Config, Delta, ModelError, Projection, Site};

/// A pass over a batch; activations are (batch * length, width).
pub(super) struct Pass<'a> {
    model: &'a DenseDecoder,
    delta: &'a dyn Delta<Tensor>,
    heads: Heads,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        model: &'a DenseDecoder,
        delta: &'a dyn Delta<Tensor>,
        batch: usize,
        length: usize,
    ) -> Result<Self, ModelError> {
        let DenseDecoder { config, embedding, rotation, .. } = model;
        let angles = if cpu::takes(embedding) {
            None
        } else {
            Some(angles(config, length, embedding.dtype(), embedding.device())?)
        };
        let (head_dim, rotation) = (config.head_dim, rotation.clone());
        Ok(Self { model, delta, heads: Heads { batch, length, head_dim, rotation, angles } })
    }
}

/// Cosines and sines (T, head_dim / 2) of the rotary embedding's angles.
fn angles(
    config: &Config,
    length: usize,
    dtype: DType,
    device: &Device,
) -> Result<(Tensor, Tensor), ModelError> {
    let frequencies = frequencies(config.rope_theta, config.head_dim);
    let frequencies = Tensor::new(frequencies, device)?.unsqueeze(0)?;
    #[expect(clippy::cast_possible_truncation, reason = "a context's length")]
    let positions = Tensor::arange(0, length as u32, device)?.to_dtype(DType::F32)?;
    let angles = positions.reshape((length, 1))?.broadcast_mul(&frequencies)?;
    Ok((angles.cos()?.to_dtype(dtype)?, angles.sin()?.to_dtype(dtype)?))
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
        Ok(norm::rms_norm(x, weight, epsilon)?)
    }

    fn attention_inputs(&mut self, layer: usize, x: &Tensor) -> Result<[Tensor; 3], ModelError> {
        let h = self.norm(Norm::Attention(layer), x)?;
        self.project(layer, [Projection::Query, Projection::Key, Projection::Value], &h)
    }

    fn attend(&mut self, _: usize, [q, k, v]: [Tensor; 3]) -> Result<Tensor, ModelError> {
        let Config { heads, kv_heads, head_dim, .. } = self.model.config;
        let Heads { batch, length, .. } = self.heads;
        let groups = batch * kv_heads;
        // The query heads that share a key head lie side by side: one product takes them all.
        let rows = heads / kv_heads * length;
        let q = self.heads.rotated(&q)?.reshape((groups, rows, head_dim))?;
        let k = self.heads.rotated(&k)?.reshape((groups, length, head_dim))?;
        let v = self.heads.split(&v)?.reshape((groups, length, head_dim))?;
        #[expect(clippy::cast_precision_loss, reason = "a head's width")]
        let scale = 1.0 / (head_dim as f64).sqrt();
        let weights = softmax::causal_softmax(&q.matmul(&k.t()?)?, scale)?;
        let out = weights.matmul(&v)?.reshape((batch, heads, length, head_dim))?;
        Ok(self.heads.merge(&out)?)
    }

    fn hidden_units(&mut self, layer: usize, x: &Tensor) -> Result<Tensor, ModelError> {
        let h = self.norm(Norm::Mlp(layer), x)?;
        let [gate, up] = self.project(layer, [Projection::Gate, Projection::Up], &h)?;
        Ok(gate::gated(&gate, &up)?)
    }

    fn add_projection(
        &mut self,
        Site { layer, projection }: Site,
        from: &Tensor,
        x: &mut Tensor,
    ) -> Result<(), ModelError> {
        let [y] = self.project(layer, [projection], from)?;
        *x = (&*x + y)?;
        Ok(())
    }
}

impl Pass<'_> {
    /// Some of a layer's projections, base weights and delta, applied to the same input.
    fn project<const N: usize>(
        &self,
        layer: usize,
        projections: [Projection; N],
        x: &Tensor,
    ) -> Result<[Tensor; N], ModelError> {
        let linears = &self.model.layers[layer].linears;
        // Copies of a tensor are references; each is replaced.
        let mut outputs: [Tensor; N] = std::array::from_fn(|_| x.clone());
        for (output, projection) in outputs.iter_mut().zip(projections) {
            *output = linears[projection as usize].apply(x)?;
            self.delta.add(Site::new(layer, projection), x, output)?;
        }
        Ok(outputs)
    }
}

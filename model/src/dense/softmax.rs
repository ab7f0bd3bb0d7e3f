//! The softmax of causal attention, with a backward pass.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Layout, Result, Shape, Tensor};
use candle_nn::ops;

use super::cpu;
use crate::kernels::elementwise::exponentiate;
use crate::kernels::{Isa, lanes, per_isa};

/// Attention weights of `scores` (groups, heads * T, T), where row `r` asks from position `r % T`:
/// `softmax(scale * scores)` over the positions up to that one, and 0 beyond.
pub(super) fn causal_softmax(scores: &Tensor, scale: f64) -> Result<Tensor> {
    if cpu::takes(scores) {
        #[expect(clippy::cast_possible_truncation, reason = "computed in f32")]
        return scores.contiguous()?.apply_op1(CausalSoftmax { scale: scale as f32 });
    }
    let (groups, rows, length) = scores.dims3()?;
    let masked = (scores.reshape((groups, rows / length, length, length))? * scale)?
        .broadcast_add(&mask(length)?.to_dtype(scores.dtype())?.to_device(scores.device())?)?;
    ops::softmax(&masked, D::Minus1)?.reshape((groups, rows, length))
}

/// 0 where a token may look, minus infinity where it may not: (T, T).
fn mask(length: usize) -> Result<Tensor> {
    let mask: Vec<f32> = (0..length)
        .flat_map(|i| (0..length).map(move |j| if j > i { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    Tensor::from_vec(mask, (length, length), &candle_core::Device::Cpu)
}

struct CausalSoftmax {
    scale: f32,
}

impl CustomOp1 for CausalSoftmax {
    fn name(&self) -> &'static str {
        "causal-softmax"
    }

    fn cpu_fwd(&self, scores: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let scores = cpu::values(scores, layout)?;
        let (groups, rows, length) = layout.shape().dims3()?;
        let isa = Isa::detect();
        let make = |row: usize, out: &mut [f32]| {
            let seen = row % length + 1;
            let out = &mut out[..seen];
            out.copy_from_slice(&scores[row * length..][..seen]);
            let largest = out.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            #[expect(clippy::cast_possible_truncation, reason = "a row's sum")]
            let inverse = (1.0 / exponentiate(isa, out, largest, self.scale)) as f32;
            for weight in out {
                *weight *= inverse;
            }
        };
        Ok((cpu::rows(groups * rows, length, make), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, weights: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        weights
            .apply_op2_no_bwd(&dy.contiguous()?, &SoftmaxBackward { scale: self.scale })
            .map(Some)
    }
}

struct SoftmaxBackward {
    scale: f32,
}

impl CustomOp2 for SoftmaxBackward {
    fn name(&self) -> &'static str {
        "causal-softmax-backward"
    }

    fn cpu_fwd(
        &self,
        weights: &CpuStorage,
        layout: &Layout,
        dy: &CpuStorage,
        dy_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (weights, dy) = (cpu::values(weights, layout)?, cpu::values(dy, dy_layout)?);
        let (groups, rows, length) = layout.shape().dims3()?;
        let isa = Isa::detect();
        let make = |row: usize, out: &mut [f32]| {
            let seen = row % length + 1;
            let (weights, dy) = (&weights[row * length..][..seen], &dy[row * length..][..seen]);
            backward(isa, weights, dy, self.scale, &mut out[..seen]);
        };
        Ok((cpu::rows(groups * rows, length, make), layout.shape().clone()))
    }
}

per_isa! {
    /// `ds = scale * w * (dy - sum(w dy))`.
    fn backward(weights: &[f32], dy: &[f32], scale: f32, ds: &mut [f32]) = backward_body
}

#[inline(always)]
fn backward_body(weights: &[f32], dy: &[f32], scale: f32, ds: &mut [f32]) {
    let mean = lanes::dot(weights, dy);
    for ((ds, w), dy) in ds.iter_mut().zip(weights).zip(dy) {
        *ds = scale * w * (dy - mean);
    }
}

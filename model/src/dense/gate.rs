//! The MLP's gate, with a backward pass.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::cpu;
use crate::kernels::elementwise;
use crate::kernels::lanes::{self, LANES};
use crate::kernels::{Isa, per_isa};

/// `silu(gate) * up`, value by value, of two tensors (rows, width).
pub(super) fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if !cpu::takes(gate) {
        return gate.silu()? * up;
    }
    gate.contiguous()?.apply_op2(&up.contiguous()?, Gated)
}

struct Gated;

impl CustomOp2 for Gated {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (cpu::values(gate, layout)?, cpu::values(up, up_layout)?);
        let (rows, width) = layout.shape().dims2()?;
        let isa = Isa::detect();
        let make = |row: usize, out: &mut [f32]| {
            out.copy_from_slice(&gate[row * width..][..width]);
            elementwise::gate(isa, out, &up[row * width..][..width]);
        };
        Ok((cpu::rows(rows, width, make), layout.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (gate, up, dy) = (gate.contiguous()?, up.contiguous()?, dy.contiguous()?);
        let both = gate.apply_op3_no_bwd(&up, &dy, &GatedBackward)?;
        Ok((Some(both.get(0)?), Some(both.get(1)?)))
    }
}

/// Both gradients, one after the other: (2, rows, width).
struct GatedBackward;

impl CustomOp3 for GatedBackward {
    fn name(&self) -> &'static str {
        "gate-backward"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
        dy: &CpuStorage,
        dy_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (cpu::values(gate, layout)?, cpu::values(up, up_layout)?);
        let dy = cpu::values(dy, dy_layout)?;
        let (rows, width) = layout.shape().dims2()?;
        let isa = Isa::detect();
        let make = |row: usize, out: &mut [f32]| {
            let at = row % rows * width;
            let (gate, dy) = (&gate[at..][..width], &dy[at..][..width]);
            if row < rows {
                gate_backward(isa, gate, &up[at..][..width], dy, out);
            } else {
                up_backward(isa, gate, dy, out);
            }
        };
        Ok((cpu::rows(2 * rows, width, make), (2, rows, width).into()))
    }
}

per_isa! {
    /// `d gate = dy up s (1 + gate (1 - s))` with `s` the sigmoid of the gate.
    fn gate_backward(gate: &[f32], up: &[f32], dy: &[f32], out: &mut [f32]) = gate_backward_body
}

#[inline(always)]
fn gate_backward_body(gate: &[f32], up: &[f32], dy: &[f32], out: &mut [f32]) {
    for (chunk, out) in out.chunks_mut(LANES).enumerate() {
        let at = chunk * LANES;
        let s = sigmoid(&gate[at..][..out.len()]);
        for (i, out) in out.iter_mut().enumerate() {
            *out = dy[at + i] * up[at + i] * s[i] * (1.0 + gate[at + i] * (1.0 - s[i]));
        }
    }
}

per_isa! {
    /// `d up = dy silu(gate)`.
    fn up_backward(gate: &[f32], dy: &[f32], out: &mut [f32]) = up_backward_body
}

#[inline(always)]
fn up_backward_body(gate: &[f32], dy: &[f32], out: &mut [f32]) {
    for (chunk, out) in out.chunks_mut(LANES).enumerate() {
        let at = chunk * LANES;
        let s = sigmoid(&gate[at..][..out.len()]);
        for (i, out) in out.iter_mut().enumerate() {
            *out = dy[at + i] * gate[at + i] * s[i];
        }
    }
}

#[inline(always)]
fn sigmoid(values: &[f32]) -> lanes::Lanes {
    let mut x = lanes::splat(0.0);
    x[..values.len()].copy_from_slice(values);
    let mut s = lanes::exp(&lanes::scale(&x, -1.0));
    for s in &mut s {
        *s = 1.0 / (1.0 + *s);
    }
    s
}

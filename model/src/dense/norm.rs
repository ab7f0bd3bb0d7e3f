//! RMS normalisation with a backward pass.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use candle_nn::ops;

use super::cpu;
use crate::kernels::{Isa, lanes, per_isa};

/// `x / sqrt(mean(x^2) + epsilon) * weight` for each row of `x` (rows, width).
pub(super) fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f32) -> Result<Tensor> {
    if !cpu::takes(x) {
        return ops::rms_norm_slow(x, weight, epsilon);
    }
    x.contiguous()?.apply_op1(Norm { weight: weight.flatten_all()?.to_vec1()?.into(), epsilon })
}

#[derive(Clone)]
struct Norm {
    weight: std::sync::Arc<[f32]>,
    epsilon: f32,
}

impl CustomOp1 for Norm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = cpu::values(x, layout)?;
        let (rows, width) = layout.shape().dims2()?;
        let isa = Isa::detect();
        let row = |row: usize, y: &mut [f32]| {
            forward(isa, &x[row * width..][..width], &self.weight, self.epsilon, y);
        };
        Ok((cpu::rows(rows, width, row), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        x.contiguous()?.apply_op2_no_bwd(&dy.contiguous()?, &NormBackward(self.clone())).map(Some)
    }
}

struct NormBackward(Norm);

impl CustomOp2 for NormBackward {
    fn name(&self) -> &'static str {
        "rms-norm-backward"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        dy: &CpuStorage,
        dy_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, dy) = (cpu::values(x, layout)?, cpu::values(dy, dy_layout)?);
        let (rows, width) = layout.shape().dims2()?;
        let isa = Isa::detect();
        let row = |row: usize, dx: &mut [f32]| {
            dx.copy_from_slice(&dy[row * width..][..width]);
            backward(isa, &x[row * width..][..width], &self.0.weight, self.0.epsilon, dx);
        };
        Ok((cpu::rows(rows, width, row), layout.shape().clone()))
    }
}

per_isa! {
    fn forward(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32]) = forward_body
}

#[inline(always)]
fn forward_body(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32]) {
    let inverse = inverse(x, epsilon);
    for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
        *y = x * inverse * w;
    }
}

per_isa! {
    /// `dx` holds dy at first. With `i` the inverse root mean square and `n` the width,
    /// `dx = i w dy - x i^3 / n sum(x w dy)`.
    fn backward(x: &[f32], weight: &[f32], epsilon: f32, dx: &mut [f32]) = backward_body
}

#[inline(always)]
fn backward_body(x: &[f32], weight: &[f32], epsilon: f32, dx: &mut [f32]) {
    let inverse = inverse(x, epsilon);
    for (dx, w) in dx.iter_mut().zip(weight) {
        *dx *= w;
    }
    #[expect(clippy::cast_precision_loss, reason = "a layer's width")]
    let along = lanes::dot(x, dx) * inverse * inverse * inverse / x.len() as f32;
    for (dx, x) in dx.iter_mut().zip(x) {
        *dx = *dx * inverse - x * along;
    }
}

#[inline(always)]
fn inverse(x: &[f32], epsilon: f32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a layer's width")]
    let width = x.len() as f32;
    1.0 / (lanes::dot(x, x) / width + epsilon).sqrt()
}

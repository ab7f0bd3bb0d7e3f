//! A linear layer whose weight is never trained.
//!
//! candle's own product gives every operand a gradient. A frozen weight needs none, and computing
//! it would double the cost of the backward pass and hold a copy of every weight.

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor, bail,
};

/// `x W^T` for `x` (rows, inputs) and the weight (outputs, inputs).
pub(super) fn frozen_linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Frozen { weight: weight.clone() })
}

struct Frozen {
    weight: Tensor,
}

impl Frozen {
    fn product<S: BackendStorage>(
        &self,
        x: &S,
        layout: &Layout,
        weight: (&S, &Layout),
    ) -> Result<(S, Shape)> {
        let (rows, inputs) = layout.shape().dims2()?;
        let (outputs, expected) = self.weight.dims2()?;
        if inputs != expected {
            bail!("a linear layer of width {expected} cannot take rows of width {inputs}");
        }
        let transposed = weight.1.transpose(0, 1)?;
        let y = x.matmul(weight.0, (1, rows, outputs, inputs), layout, &transposed)?;
        Ok((y, (rows, outputs).into()))
    }
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (weight, weight_layout) = self.weight.storage_and_layout();
        match &*weight {
            Storage::Cpu(weight) => self.product(x, layout, (weight, weight_layout)),
            Storage::Cuda(_) | Storage::Metal(_) => bail!("the weight is on another device"),
        }
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (weight, weight_layout) = self.weight.storage_and_layout();
        match &*weight {
            Storage::Cuda(weight) => self.product(x, layout, (weight, weight_layout)),
            Storage::Cpu(_) | Storage::Metal(_) => bail!("the weight is on another device"),
        }
    }

    /// `dX = dY W`.
    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        dy.contiguous()?.matmul(&self.weight).map(Some)
    }
}

//! A linear layer whose weight is never trained.
//!
//! candle's own product gives every operand a gradient. A frozen weight needs none, and computing
//! it would double the cost of the backward pass and hold a copy of every weight.

use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, DType, Device, Layout, Result, Shape, Storage, Tensor, bail,
};

use super::cpu;
use crate::kernels::panels::{PanelMatrix, Precision};

/// A weight (outputs, inputs).
#[derive(Debug, Clone)]
pub(super) enum Frozen {
    /// In the activations' type, multiplied by candle.
    Exact(Tensor),
    /// Between activations in f32 on a CPU, multiplied by kernels of our own.
    Panels(Arc<Panels>),
}

/// A weight laid out for both directions.
#[derive(Debug)]
pub(super) struct Panels {
    forward: PanelMatrix,
    backward: PanelMatrix,
}

impl Frozen {
    /// Holds a weight that was read in f32, for products in `dtype`.
    ///
    /// candle takes what our kernels do not; but on a CPU it would widen a weight in brain floats at
    /// each product.
    pub(super) fn new(weight: &Tensor, dtype: DType, device: &Device) -> Result<Self> {
        let is_brain = dtype == DType::BF16;
        if !device.is_cpu() || !(is_brain || dtype == DType::F32) {
            return Ok(Self::Exact(weight.to_dtype(dtype)?.to_device(device)?));
        }
        let precision = if is_brain { Precision::Brain } else { Precision::F32 };
        if !precision.is_supported() {
            if is_brain {
                bail!("this processor does not multiply brain floats: use f32");
            }
            return Ok(Self::Exact(weight.clone()));
        }
        let (outputs, inputs) = weight.dims2()?;
        let values: Vec<f32> = weight.flatten_all()?.to_vec1()?;
        Ok(Self::Panels(Arc::new(Panels {
            forward: PanelMatrix::new(precision, outputs, inputs, |o, i| values[o * inputs + i]),
            backward: PanelMatrix::new(precision, inputs, outputs, |i, o| values[o * inputs + i]),
        })))
    }

    /// `x W^T` for `x` (rows, inputs).
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        match self {
            Self::Exact(weight) => x.apply_op1(Exact { weight: weight.clone() }),
            Self::Panels(panels) => x.apply_op1(PanelProduct { panels: panels.clone() }),
        }
    }
}

struct Exact {
    weight: Tensor,
}

impl Exact {
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

impl CustomOp1 for Exact {
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

struct PanelProduct {
    panels: Arc<Panels>,
}

impl CustomOp1 for PanelProduct {
    fn name(&self) -> &'static str {
        "panel-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        multiply(&self.panels.forward, x, layout)
    }

    /// `dX = dY W`.
    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let backward = Backward { panels: self.panels.clone() };
        dy.contiguous()?.apply_op1_no_bwd(&backward).map(Some)
    }
}

struct Backward {
    panels: Arc<Panels>,
}

impl CustomOp1 for Backward {
    fn name(&self) -> &'static str {
        "panel-linear-backward"
    }

    fn cpu_fwd(&self, dy: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        multiply(&self.panels.backward, dy, layout)
    }
}

fn multiply(matrix: &PanelMatrix, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
    let (rows, inputs) = layout.shape().dims2()?;
    if inputs != matrix.inputs() {
        bail!("a linear layer of width {} cannot take rows of width {inputs}", matrix.inputs());
    }
    let y = matrix.multiply(cpu::values(x, layout)?);
    Ok((CpuStorage::F32(y), (rows, matrix.outputs()).into()))
}

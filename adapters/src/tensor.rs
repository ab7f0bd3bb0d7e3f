//! The low-rank sum over candle tensors: the reference that the serving kernel is held to, and
//! what training and evaluation run.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use model::{Delta, ModelError, Site};

use crate::lora::{Lora, LowRank};

/// Low-rank adapters with their scales, as a delta on f32 tensors.
///
/// At each site `y += sum_i s_i * scaling_i * (x A_i^T) B_i^T`, summed in the order given; callers
/// give adapters in canonical order, by name. Shapes: `x` (.., inputs), `y` (.., outputs).
#[derive(Debug, Clone)]
pub struct TensorDelta {
    sites: BTreeMap<Site, Vec<Term>>,
}

/// One adapter at one site.
#[derive(Debug, Clone)]
struct Term {
    /// (inputs, rank)
    a_transposed: Tensor,
    /// (rank, outputs)
    b_transposed: Tensor,
    factor: f64,
}

impl TensorDelta {
    /// The weighted sum of `adapters`, on `device`. An adapter with scale 0 is left out.
    ///
    /// # Errors
    /// candle's, if the weights do not fit their ranks or the device.
    pub fn new(adapters: &[(&Lora, f32)], device: &Device) -> candle_core::Result<Self> {
        let mut sites = BTreeMap::<Site, Vec<Term>>::new();
        for (lora, scale) in adapters.iter().filter(|(_, scale)| *scale != 0.0) {
            for (&site, low_rank) in &lora.sites {
                sites.entry(site).or_default().push(Term::new(low_rank, *scale, device)?);
            }
        }
        Ok(Self { sites })
    }
}

impl Term {
    fn new(low_rank: &LowRank, scale: f32, device: &Device) -> candle_core::Result<Self> {
        let (rank, inputs, outputs) = (low_rank.rank, low_rank.inputs(), low_rank.outputs());
        let a = Tensor::from_slice(&low_rank.a, (rank, inputs), device)?;
        let b = Tensor::from_slice(&low_rank.b, (outputs, rank), device)?;
        Ok(Self {
            a_transposed: a.t()?.contiguous()?,
            b_transposed: b.t()?.contiguous()?,
            factor: f64::from(scale) * f64::from(low_rank.scaling),
        })
    }

    fn check(&self, site: Site, x: &Tensor, y: &Tensor) -> Result<(), ModelError> {
        let inputs = self.a_transposed.dim(0)?;
        let outputs = self.b_transposed.dim(1)?;
        let operands = [("the input", x, inputs), ("the output", y, outputs)];
        for (what, tensor, expected) in operands {
            let found = tensor.dims().last().copied().unwrap_or(0);
            if found != expected {
                return Err(ModelError::Shape { site, what, found, expected });
            }
        }
        Ok(())
    }

    fn apply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        x.broadcast_matmul(&self.a_transposed)?.broadcast_matmul(&self.b_transposed)? * self.factor
    }
}

impl Delta<Tensor> for TensorDelta {
    fn add(&self, site: Site, x: &Tensor, y: &mut Tensor) -> Result<(), ModelError> {
        for term in self.sites.get(&site).into_iter().flatten() {
            term.check(site, x, y)?;
            *y = (&*y + term.apply(x)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::Projection;

    use super::*;

    const SITE: Site = Site::new(0, Projection::Query);

    fn lora() -> Lora {
        let (a, b) = (vec![1.0, 2.0], vec![1.0, 0.0, -1.0]);
        let low_rank = LowRank { rank: 1, scaling: 0.5, a, b };
        Lora { sites: [(SITE, low_rank)].into() }
    }

    fn delta() -> TensorDelta {
        TensorDelta::new(&[(&lora(), 2.0)], &Device::Cpu).unwrap()
    }

    #[test]
    fn the_scaled_product_is_added() {
        // A x = 1*3 + 2*4 = 11; the factor is 2 * 0.5 = 1; B = (1, 0, -1).
        let x = Tensor::new(&[[[3f32, 4.0]]], &Device::Cpu).unwrap();
        let mut y = Tensor::new(&[[[1f32, 1.0, 1.0]]], &Device::Cpu).unwrap();
        delta().add(SITE, &x, &mut y).unwrap();
        assert_eq!(y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [12.0, 1.0, -10.0]);
    }

    #[test]
    fn other_sites_and_scale_0_change_nothing() {
        let x = Tensor::new(&[[3f32, 4.0]], &Device::Cpu).unwrap();
        let before = Tensor::new(&[[1f32, 1.0, 1.0]], &Device::Cpu).unwrap();
        let off = TensorDelta::new(&[(&lora(), 0.0)], &Device::Cpu).unwrap();
        for (delta, site) in [(delta(), Site::new(0, Projection::Key)), (off, SITE)] {
            let mut y = before.clone();
            delta.add(site, &x, &mut y).unwrap();
            assert_eq!(y.id(), before.id());
        }
    }

    #[test]
    fn a_width_that_does_not_fit_is_named() {
        let x = Tensor::new(&[[3f32, 4.0, 5.0]], &Device::Cpu).unwrap();
        let mut y = Tensor::new(&[[1f32, 1.0, 1.0]], &Device::Cpu).unwrap();
        let error = delta().add(SITE, &x, &mut y).unwrap_err();
        assert!(matches!(
            error,
            ModelError::Shape { what: "the input", found: 3, expected: 2, .. }
        ));
    }
}

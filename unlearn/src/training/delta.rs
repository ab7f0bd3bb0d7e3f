//! The adapter while it learns: a low-rank delta of variables.

use std::collections::BTreeMap;

use adapters::lora::{Lora, LowRank};
use candle_core::{DType, Device, Result, Tensor, Var};
use model::{Config, Delta, ModelError, Site};

use super::run::Shape;
use crate::random::Random;

/// `y += (alpha / r) (x A^T) B^T` at each site, with A and B variables in f32.
#[derive(Debug)]
pub struct TrainableDelta {
    sites: BTreeMap<Site, Factors>,
    scaling: f64,
}

#[derive(Debug)]
struct Factors {
    /// (rank, inputs)
    a: Var,
    /// (outputs, rank)
    b: Var,
}

impl TrainableDelta {
    /// A new adapter for models like `config`: A uniform within one over the root of its inputs,
    /// B zero, so that it changes nothing yet.
    ///
    /// # Errors
    /// candle's.
    pub fn new(config: &Config, shape: &Shape, seed: u64, device: &Device) -> Result<Self> {
        let mut random = Random::new(seed);
        let mut sites = BTreeMap::new();
        let places = (0..config.layers)
            .flat_map(|layer| shape.projections.iter().map(move |p| Site::new(layer, *p)));
        for site in places {
            let (inputs, outputs) = config.shape(site.projection);
            #[expect(clippy::cast_precision_loss, reason = "a layer's width")]
            let bound = 1.0 / (inputs as f32).sqrt();
            let a: Vec<f32> =
                (0..shape.rank * inputs).map(|_| (random.unit() * 2.0 - 1.0) * bound).collect();
            let a = Var::from_vec(a, (shape.rank, inputs), device)?;
            let b = Var::zeros((outputs, shape.rank), DType::F32, device)?;
            sites.insert(site, Factors { a, b });
        }
        Ok(Self { sites, scaling: shape.scaling() })
    }

    /// All variables, in the order of sites, A before B.
    #[must_use]
    pub fn variables(&self) -> Vec<Var> {
        self.sites.values().flat_map(|factors| [factors.a.clone(), factors.b.clone()]).collect()
    }

    /// Each variable with its name in PEFT's files, without what is in front of the site.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, &Var)> {
        self.sites.iter().flat_map(|(site, Factors { a, b })| {
            [(format!("{}.lora_A", site.path()), a), (format!("{}.lora_B", site.path()), b)]
        })
    }

    /// The adapter as it is now.
    ///
    /// # Errors
    /// candle's.
    pub fn to_lora(&self) -> Result<Lora> {
        let values = |var: &Var| var.flatten_all()?.to_device(&Device::Cpu)?.to_vec1::<f32>();
        let low_rank = |(site, factors): (&Site, &Factors)| {
            let (a, b) = (values(&factors.a)?, values(&factors.b)?);
            #[expect(clippy::cast_possible_truncation, reason = "kept in f32")]
            let scaling = self.scaling as f32;
            Ok((*site, LowRank { rank: factors.a.dim(0)?, scaling, a, b }))
        };
        Ok(Lora { sites: self.sites.iter().map(low_rank).collect::<Result<_>>()? })
    }

    fn term(&self, factors: &Factors, x: &Tensor) -> Result<Tensor> {
        let x = x.to_dtype(DType::F32)?;
        let low = (x.matmul(&factors.a.t()?)? * self.scaling)?;
        low.matmul(&factors.b.t()?)
    }
}

impl Delta<Tensor> for TrainableDelta {
    fn add(&self, site: Site, x: &Tensor, y: &mut Tensor) -> std::result::Result<(), ModelError> {
        if let Some(factors) = self.sites.get(&site) {
            *y = (&*y + self.term(factors, x)?.to_dtype(y.dtype())?)?;
        }
        Ok(())
    }
}

//! A base model with adapters folded in, as a checkpoint of its own.

use candle_core::{Device, Error, Tensor};
use model::checkpoint::{Checkpoint, CheckpointError, Weight};
use model::kernels::packed::PackedMatrix;
use model::{Config, Site};

use super::fold;
use crate::Digest;
use crate::lora::Lora;

/// A plain model: the weighted sum of adapters folded into the weights of a base.
///
/// Weights are folded when they are read, so nothing but the weight at hand is in memory.
pub struct Merged<'a> {
    base: &'a dyn Checkpoint,
    adapters: &'a [(&'a Lora, f32)],
}

impl<'a> Merged<'a> {
    /// `base` with the weighted sum of `adapters` in its weights.
    #[must_use]
    pub const fn new(base: &'a dyn Checkpoint, adapters: &'a [(&'a Lora, f32)]) -> Self {
        Self { base, adapters }
    }

    fn changes(&self, site: Site) -> bool {
        self.adapters.iter().any(|(lora, scale)| *scale != 0.0 && lora.sites.contains_key(&site))
    }

    fn merged(&self, site: Site) -> Result<Tensor, CheckpointError> {
        let base = self.base.dense(Weight::Linear(site))?;
        let mut values = base.flatten_all()?.to_vec1::<f32>()?;
        fold(site, &mut values, self.adapters).map_err(Error::wrap)?;
        Ok(Tensor::from_vec(values, base.shape(), &Device::Cpu)?)
    }
}

impl Checkpoint for Merged<'_> {
    fn config(&self) -> &Config {
        self.base.config()
    }

    fn has_head(&self) -> bool {
        self.base.has_head()
    }

    fn dense(&self, weight: Weight) -> Result<Tensor, CheckpointError> {
        match changed(weight).filter(|&site| self.changes(site)) {
            Some(site) => self.merged(site),
            None => self.base.dense(weight),
        }
    }

    fn packed(&self, weight: Weight) -> Result<Option<PackedMatrix>, CheckpointError> {
        match changed(weight).filter(|&site| self.changes(site)) {
            // A merged weight has no quantised form that keeps its values.
            Some(_) => Ok(None),
            None => self.base.packed(weight),
        }
    }

    fn fingerprint(&self) -> Result<String, CheckpointError> {
        let mut parts = vec![self.base.fingerprint()?.into_bytes()];
        for (lora, scale) in self.adapters {
            parts.push(scale.to_le_bytes().into());
            for (site, low_rank) in &lora.sites {
                parts.push(site.path().into_bytes());
                parts.push(low_rank.scaling.to_le_bytes().into());
                for values in [&low_rank.a, &low_rank.b] {
                    parts.push(values.iter().flat_map(|value| value.to_le_bytes()).collect());
                }
            }
        }
        let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
        Ok(Digest::of(&parts).to_string())
    }
}

/// The site of a weight that adapters can change.
fn changed(weight: Weight) -> Option<Site> {
    if let Weight::Linear(site) = weight { Some(site) } else { None }
}

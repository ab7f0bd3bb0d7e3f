//! From the tensors of a weight file to what is added at each site.

use std::collections::BTreeMap;

use model::{Projection, Site};

use super::{LoraError, LowRank, PeftConfig};
use crate::Limits;
use crate::tensor_file::{Matrix, TensorFile};

/// What PEFT puts before a module's path.
pub(super) const PREFIX: &str = "base_model.model.";
/// What PEFT puts after it, for A.
pub(super) const SUFFIX_A: &str = ".lora_A.weight";
/// What PEFT puts after it, for B.
pub(super) const SUFFIX_B: &str = ".lora_B.weight";

#[derive(Default)]
struct Pair {
    a: Option<Matrix>,
    b: Option<Matrix>,
}

/// Pairs the tensors of `file`, and checks them against the configuration, the base model and the
/// limits.
pub(super) fn assemble(
    file: TensorFile,
    config: &PeftConfig,
    base: &model::Config,
    limits: &Limits,
) -> Result<BTreeMap<Site, LowRank>, LoraError> {
    let pairs = pair(file, base)?;
    if pairs.is_empty() {
        return Err(LoraError::Empty);
    }
    for site in every_site(base) {
        if config.targets(site) != pairs.contains_key(&site) {
            return Err(LoraError::Targets(site));
        }
    }
    pairs
        .into_iter()
        .map(|(site, pair)| Ok((site, low_rank(site, pair, config, base, limits)?)))
        .collect()
}

/// Every site of a decoder of shape `base`.
pub(super) fn every_site(base: &model::Config) -> impl Iterator<Item = Site> {
    (0..base.layers).flat_map(|layer| Projection::ALL.into_iter().map(move |p| Site::new(layer, p)))
}

fn pair(file: TensorFile, base: &model::Config) -> Result<BTreeMap<Site, Pair>, LoraError> {
    let mut pairs = BTreeMap::<Site, Pair>::new();
    for (key, matrix) in file.into_matrices() {
        let path = key.strip_prefix(PREFIX).unwrap_or_default();
        let site = |suffix| {
            path.strip_suffix(suffix).and_then(Site::parse).filter(|site| site.layer < base.layers)
        };
        if let Some(site) = site(SUFFIX_A) {
            pairs.entry(site).or_default().a = Some(matrix);
        } else if let Some(site) = site(SUFFIX_B) {
            pairs.entry(site).or_default().b = Some(matrix);
        } else {
            return Err(LoraError::UnknownTensor(key));
        }
    }
    Ok(pairs)
}

fn low_rank(
    site: Site,
    pair: Pair,
    config: &PeftConfig,
    base: &model::Config,
    limits: &Limits,
) -> Result<LowRank, LoraError> {
    let a = pair.a.ok_or(LoraError::Unpaired { site, missing: 'A' })?;
    let b = pair.b.ok_or(LoraError::Unpaired { site, missing: 'B' })?;
    let rank = config.rank(site)?;
    for found in [a.rows, b.columns] {
        if found != rank {
            return Err(LoraError::Rank { site, found, expected: rank });
        }
    }
    if rank > limits.rank {
        return Err(LoraError::RankLimit { site, found: rank, limit: limits.rank });
    }
    let (inputs, outputs) = base.shape(site.projection);
    for (half, found, expected) in [('A', a.columns, inputs), ('B', b.rows, outputs)] {
        if found != expected {
            return Err(LoraError::Shape { site, half, found, expected });
        }
    }
    Ok(LowRank { rank, scaling: config.scaling(site)?, a: a.values, b: b.values })
}

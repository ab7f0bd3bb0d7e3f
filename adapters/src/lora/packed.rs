//! Low-rank weights as serving reads them.

use std::collections::BTreeMap;

use half::f16;
use model::Site;
use model::kernels::low_rank::Factors;

use super::{Lora, LoraError, LowRank};

/// A low-rank adapter in half precision.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedLora {
    sites: BTreeMap<Site, PackedLowRank>,
}

/// What a packed adapter adds at one site.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedLowRank {
    /// `alpha / r`.
    pub scaling: f32,
    /// Both factors.
    pub factors: Factors,
}

impl Lora {
    /// The same weights, rounded to half precision and laid out for serving.
    ///
    /// # Errors
    /// [`LoraError::NonFinite`] if a weight is too large for half precision.
    pub fn pack(&self) -> Result<PackedLora, LoraError> {
        let sites = self
            .sites
            .iter()
            .map(|(&site, low_rank)| {
                low_rank.pack().map(|packed| (site, packed)).ok_or(LoraError::NonFinite(site))
            })
            .collect::<Result<_, _>>()?;
        Ok(PackedLora { sites })
    }
}

impl LowRank {
    fn pack(&self) -> Option<PackedLowRank> {
        let half = |values: &[f32]| values.iter().copied().map(finite_half).collect();
        let (a, b): (Option<Vec<_>>, Option<Vec<_>>) = (half(&self.a), half(&self.b));
        Some(PackedLowRank { scaling: self.scaling, factors: Factors::new(self.rank, &a?, &b?) })
    }
}

fn finite_half(value: f32) -> Option<f16> {
    Some(f16::from_f32(value)).filter(|half| half.is_finite())
}

impl PackedLora {
    /// What it adds at `site`, if anything.
    #[must_use]
    pub fn site(&self, site: Site) -> Option<&PackedLowRank> {
        self.sites.get(&site)
    }

    /// The sites it acts at, in order.
    pub fn sites(&self) -> impl Iterator<Item = (Site, &PackedLowRank)> {
        self.sites.iter().map(|(&site, low_rank)| (site, low_rank))
    }

    /// The highest rank at any site.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.sites.values().map(|low_rank| low_rank.factors.rank()).max().unwrap_or(0)
    }

    /// Bytes that the weights hold in memory.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.sites.values().map(|low_rank| low_rank.factors.bytes() as u64).sum()
    }
}

//! Low-rank weights as serving reads them.

use std::collections::BTreeMap;

use model::kernels::low_rank::Factors;
use model::kernels::packed::Precision;
use model::{ServedPrecision, Site};

use super::{Lora, LoraError, LowRank};

/// A low-rank adapter, packed for the kernels.
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
    /// The same weights packed for serving: rounded to 8 bits, or as they are for a base in f32.
    ///
    /// # Errors
    /// [`LoraError::NonFinite`] if weights are too large to be multiplied.
    pub fn pack(&self, precision: ServedPrecision) -> Result<PackedLora, LoraError> {
        let sites = self
            .sites
            .iter()
            .map(|(&site, low_rank)| {
                let packed = low_rank.pack(precision).ok_or(LoraError::NonFinite(site))?;
                Ok((site, packed))
            })
            .collect::<Result<_, LoraError>>()?;
        Ok(PackedLora { sites })
    }
}

impl LowRank {
    fn pack(&self, precision: ServedPrecision) -> Option<PackedLowRank> {
        let precision = match precision {
            ServedPrecision::Auto => Precision::Int8,
            ServedPrecision::F32 => Precision::F32,
        };
        let factors = Factors::new(precision, self.rank, &self.a, &self.b)?;
        Some(PackedLowRank { scaling: self.scaling, factors })
    }
}

impl PackedLowRank {
    fn unpack(&self) -> LowRank {
        let (a, b) = self.factors.unpack();
        LowRank { rank: self.factors.rank(), scaling: self.scaling, a, b }
    }
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

    /// The same adapter in f32, for merging: what the packed weights stand for.
    #[must_use]
    pub fn unpack(&self) -> Lora {
        let sites = self.sites().map(|(site, low_rank)| (site, low_rank.unpack()));
        Lora { sites: sites.collect() }
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

//! Which adapters apply to a request, and how strongly.

use std::sync::Arc;

use crate::{AdapterName, Digest, Lease};

/// Adapters and their scales in canonical order: by name, each once, none with scale 0.
///
/// The leases inside keep the adapters in memory. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct AdapterVector(Arc<[Applied]>);

/// One adapter of a vector.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The adapter.
    pub lease: Lease,
    /// How strongly it applies: finite and not 0.
    pub scale: f32,
}

/// What a result depends on: digest and scale of each adapter, in canonical order.
///
/// Two vectors have the same key only if every computation with them gives the same bits, so it
/// can be part of a cache's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct VectorKey(Arc<[(Digest, u32)]>);

/// Why adapters and scales make no vector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// A name stands twice.
    #[error("adapter {0} is named twice")]
    Duplicate(AdapterName),
    /// A scale is infinite or not a number.
    #[error("the scale of adapter {0} is not finite")]
    Scale(AdapterName),
}

impl AdapterVector {
    /// Brings adapters and scales into canonical order.
    ///
    /// # Errors
    /// [`VectorError`] if a name stands twice or a scale is not finite.
    pub fn new(mut adapters: Vec<(Lease, f32)>) -> Result<Self, VectorError> {
        adapters.sort_by(|(a, _), (b, _)| a.name().cmp(b.name()));
        if let Some(pair) = adapters.windows(2).find(|pair| pair[0].0.name() == pair[1].0.name()) {
            return Err(VectorError::Duplicate(pair[0].0.name().clone()));
        }
        if let Some((lease, _)) = adapters.iter().find(|(_, scale)| !scale.is_finite()) {
            return Err(VectorError::Scale(lease.name().clone()));
        }
        // -0.0 equals 0.0, so neither can appear in a key.
        let applied = adapters.into_iter().filter(|&(_, scale)| scale != 0.0);
        Ok(Self(applied.map(|(lease, scale)| Applied { lease, scale }).collect()))
    }

    /// The adapters in canonical order.
    #[must_use]
    pub fn entries(&self) -> &[Applied] {
        &self.0
    }

    /// Whether this is the base model as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What results with this vector depend on.
    #[must_use]
    pub fn key(&self) -> VectorKey {
        VectorKey(self.0.iter().map(|a| (a.lease.digest(), a.scale.to_bits())).collect())
    }

    /// The names, such as `gender+race`; `none` for the base model.
    #[must_use]
    pub fn set_name(&self) -> String {
        if self.is_empty() {
            return "none".to_owned();
        }
        let names: Vec<_> = self.0.iter().map(|a| a.lease.name().as_str()).collect();
        names.join("+")
    }
}

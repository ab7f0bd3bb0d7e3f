//! Generations, and the leases that keep them in memory.

use std::sync::Arc;

use super::ledger::{Claim, LeaseCount};
use crate::{Adapter, AdapterName, Digest};

/// What an alias points to: an adapter that was read from a source and never changes.
#[derive(Debug)]
pub(super) struct Generation {
    // Fields are dropped in this order: the bytes are free before the ledger says so.
    pub(super) adapter: Adapter,
    pub(super) source: String,
    pub(super) claim: Claim,
}

/// Proof that an adapter is in memory, and what keeps it there.
///
/// A lease keeps its generation when the alias moves on or goes away. Clones share one lease.
#[derive(Debug, Clone)]
pub struct Lease(Arc<Held>);

#[derive(Debug)]
struct Held {
    name: AdapterName,
    generation: Arc<Generation>,
    // Last, for the same reason as above.
    _count: LeaseCount,
}

impl Lease {
    pub(super) fn new(name: AdapterName, generation: Arc<Generation>) -> Self {
        let count = generation.claim.lease();
        Self(Arc::new(Held { name, generation, _count: count }))
    }

    /// The alias that was resolved.
    #[must_use]
    pub fn name(&self) -> &AdapterName {
        &self.0.name
    }

    /// Identity of the content that it pointed to.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.generation.adapter.digest
    }

    /// The adapter.
    #[must_use]
    pub fn adapter(&self) -> &Adapter {
        &self.0.generation.adapter
    }
}

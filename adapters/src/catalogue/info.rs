//! What can be seen of a catalogue from outside.

use std::sync::atomic::Ordering;

use super::lease::Generation;
use super::{Catalogue, RestoreFault};
use crate::{AdapterName, Card, Digest, KindName, Verification};

/// One adapter of the catalogue, as it was when this was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterInfo {
    /// The name that requests use.
    pub name: AdapterName,
    /// Identity of its content.
    pub digest: Digest,
    /// The folder below the root that it was read from.
    pub source: String,
    /// What kind it is.
    pub kind: KindName,
    /// The highest rank at any site; 0 for kinds without ranks.
    pub rank: usize,
    /// Bytes that its weights hold in memory.
    pub resident_bytes: u64,
    /// Leases of it that have not been dropped; clones of a lease count as one.
    pub leases: usize,
    /// Whether it was made for the weights that are served.
    pub verification: Verification,
    /// What is known of it.
    pub card: Option<Card>,
}

/// What a catalogue holds. Each number is exact; a change may fall between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of all generations, those retired but still leased included.
    pub resident_bytes: u64,
    /// Generations that a name points to.
    pub live_generations: usize,
    /// Generations that only leases hold.
    pub retired_generations: usize,
    /// Leases that have not been dropped; clones of a lease count as one.
    pub leases: usize,
}

/// How often the catalogue changed since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Loads under a new name.
    pub loads: u64,
    /// Loads that replaced another generation.
    pub swaps: u64,
    /// Names taken away.
    pub unloads: u64,
    /// Changes that were refused.
    pub refusals: u64,
}

impl AdapterInfo {
    pub(super) fn new(name: &AdapterName, generation: &Generation) -> Self {
        let adapter = &generation.adapter;
        Self {
            name: name.clone(),
            digest: adapter.digest,
            source: generation.source.clone(),
            kind: adapter.kind.name(),
            rank: adapter.rank(),
            resident_bytes: adapter.resident_bytes(),
            leases: generation.claim.leases(),
            verification: adapter.verification.clone(),
            card: adapter.card.clone(),
        }
    }
}

impl Catalogue {
    /// Every adapter, by name.
    #[must_use]
    pub fn list(&self) -> Vec<AdapterInfo> {
        let mut all: Vec<_> =
            self.aliases.iter().map(|entry| AdapterInfo::new(entry.key(), entry.value())).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The adapter called `name`, if there is one.
    #[must_use]
    pub fn get(&self, name: &AdapterName) -> Option<AdapterInfo> {
        self.generation(name).map(|generation| AdapterInfo::new(name, &generation))
    }

    /// What the catalogue holds now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let live_generations = self.aliases.len();
        Usage {
            resident_bytes: self.ledger.resident_bytes(),
            live_generations,
            retired_generations: self.ledger.generations().saturating_sub(live_generations),
            leases: self.ledger.leases(),
        }
    }

    /// How often the catalogue changed since it was opened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            loads: self.loads.load(Ordering::Relaxed),
            swaps: self.swaps.load(Ordering::Relaxed),
            unloads: self.unloads.load(Ordering::Relaxed),
            refusals: self.refusals.load(Ordering::Relaxed),
        }
    }

    /// Adapters that could not be restored. Each stays in the state, and here, until its name is
    /// loaded or unloaded.
    #[must_use]
    pub fn restore_faults(&self) -> Vec<RestoreFault> {
        self.changes().faults.clone()
    }
}

//! Accounts of what the catalogue holds in memory. Whatever was entered leaves by being dropped,
//! so that the accounts cannot forget.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Totals over all generations, those retired but still leased included.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    resident_bytes: AtomicU64,
    generations: AtomicUsize,
    leases: AtomicUsize,
}

/// One generation's bytes, counted until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    ledger: Arc<Ledger>,
    bytes: u64,
    leases: Arc<AtomicUsize>,
}

/// One lease, counted for its generation and in the ledger until this is dropped.
#[derive(Debug)]
pub(super) struct LeaseCount {
    ledger: Arc<Ledger>,
    of_generation: Arc<AtomicUsize>,
}

impl Ledger {
    /// Enters a generation of `bytes`; `None` if the total would be above `limit`.
    pub(super) fn claim(self: &Arc<Self>, bytes: u64, limit: u64) -> Option<Claim> {
        self.resident_bytes
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |total| {
                total.checked_add(bytes).filter(|&total| total <= limit)
            })
            .ok()?;
        self.generations.fetch_add(1, Ordering::AcqRel);
        Some(Claim { ledger: Arc::clone(self), bytes, leases: Arc::default() })
    }

    pub(super) fn resident_bytes(&self) -> u64 {
        self.resident_bytes.load(Ordering::Acquire)
    }

    pub(super) fn generations(&self) -> usize {
        self.generations.load(Ordering::Acquire)
    }

    pub(super) fn leases(&self) -> usize {
        self.leases.load(Ordering::Acquire)
    }
}

impl Claim {
    /// Counts a lease.
    pub(super) fn lease(&self) -> LeaseCount {
        self.ledger.leases.fetch_add(1, Ordering::AcqRel);
        self.leases.fetch_add(1, Ordering::AcqRel);
        LeaseCount { ledger: Arc::clone(&self.ledger), of_generation: Arc::clone(&self.leases) }
    }

    /// Leases of this generation.
    pub(super) fn leases(&self) -> usize {
        self.leases.load(Ordering::Acquire)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.ledger.generations.fetch_sub(1, Ordering::AcqRel);
        self.ledger.resident_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl Drop for LeaseCount {
    fn drop(&mut self) {
        self.of_generation.fetch_sub(1, Ordering::AcqRel);
        self.ledger.leases.fetch_sub(1, Ordering::AcqRel);
    }
}

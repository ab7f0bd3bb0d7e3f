//! One server of the fleet, and what is known of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::breaker::Breaker;
use super::fault::{Consequence, Fault};
use super::placement::Placement;
use super::roster::Roster;
use super::server::Server;
use crate::UpstreamStatus;

/// A server.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) server: Server,
    /// Adapters that were placed there.
    pub(super) placement: Arc<Placement>,
    /// Adapters that it was started with.
    pub(super) roster: Roster,
    outstanding: AtomicUsize,
    record: Mutex<Record>,
}

/// How it answered so far.
#[derive(Debug)]
struct Record {
    breaker: Breaker,
    /// What the last look at its health said; before the first, that it is well.
    reachable: bool,
    requests: u64,
    faults: BTreeMap<&'static str, u64>,
}

/// A job at a server. Dropping it undecided says nothing about the server.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) replica: Arc<Replica>,
    decided: bool,
}

impl Replica {
    pub(super) fn new(server: Server, max_adapters: usize) -> Self {
        let record = Record {
            breaker: Breaker::default(),
            reachable: true,
            requests: 0,
            faults: BTreeMap::new(),
        };
        Self {
            server,
            placement: Arc::new(Placement::new(max_adapters)),
            roster: Roster::default(),
            outstanding: AtomicUsize::new(0),
            record: Mutex::new(record),
        }
    }

    /// Whether jobs should go there.
    pub(super) fn is_available(&self, now: Instant) -> bool {
        let record = self.record();
        record.reachable && record.breaker.admits(now)
    }

    /// How loaded it would be with one more job, relative to its weight.
    #[expect(clippy::cast_precision_loss, reason = "far fewer jobs than 2^53")]
    pub(super) fn cost(&self) -> f64 {
        (self.outstanding.load(Ordering::Acquire) + 1) as f64 / self.server.weight()
    }

    /// A job goes there.
    pub(super) fn take(self: &Arc<Self>) -> Ticket {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
        let mut record = self.record();
        record.requests += 1;
        record.breaker.begin(Instant::now());
        drop(record);
        Ticket { replica: Arc::clone(self), decided: false }
    }

    /// Notes what a look at its health said; whether that is news.
    pub(super) fn set_reachable(&self, reachable: bool) -> bool {
        if !reachable {
            self.roster.clear();
        }
        std::mem::replace(&mut self.record().reachable, reachable) != reachable
    }

    pub(super) fn status(&self) -> UpstreamStatus {
        let record = self.record();
        UpstreamStatus {
            server: self.server.to_string(),
            available: record.reachable && !record.breaker.is_open(),
            outstanding: self.outstanding.load(Ordering::Acquire),
            requests: record.requests,
            faults: record.faults.iter().map(|(word, count)| (*word, *count)).collect(),
            adapters: self.placement.resident(),
            placements: self.placement.counts(),
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The job was answered to its end.
    pub(super) fn succeed(mut self) {
        self.decided = true;
        self.replica.record().breaker.succeed();
    }

    /// The job was not answered, or not to its end.
    pub(super) fn fail(mut self, fault: &Fault) {
        self.decided = true;
        let mut record = self.replica.record();
        *record.faults.entry(fault.word()).or_default() += 1;
        match fault.consequence() {
            Consequence::Elsewhere => record.breaker.fail(Instant::now()),
            // It did answer.
            Consequence::Busy | Consequence::Never => record.breaker.succeed(),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.replica.outstanding.fetch_sub(1, Ordering::AcqRel);
        if !self.decided {
            self.replica.record().breaker.forget(Instant::now());
        }
    }
}

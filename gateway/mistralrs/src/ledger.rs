//! Which jobs wait and which run, for the engine's status.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use adapters::AdapterVector;
use gateway_engine::{Health, Status};

/// The jobs in the house.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Jobs>>);

#[derive(Debug, Default)]
struct Jobs {
    next: u64,
    jobs: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    running: bool,
    adapters: Vec<String>,
}

/// A job's place in the ledger, until it is dropped.
#[derive(Debug)]
pub struct Ticket {
    ledger: Ledger,
    id: u64,
}

impl Ledger {
    /// Enters a job that waits.
    #[must_use]
    pub fn enter(&self, adapters: &AdapterVector) -> Ticket {
        let names = adapters.entries().iter().map(|a| a.lease.name().to_string()).collect();
        let mut jobs = self.jobs();
        jobs.next += 1;
        let id = jobs.next;
        jobs.jobs.insert(id, Entry { running: false, adapters: names });
        drop(jobs);
        Ticket { ledger: self.clone(), id }
    }

    /// Counts and names of the jobs. There is no cache to speak of.
    #[must_use]
    pub fn status(&self, health: Health) -> Status {
        let jobs = self.jobs();
        let named = |running: bool| {
            let entries = jobs.jobs.values().filter(|entry| entry.running == running);
            let names: BTreeSet<_> = entries.flat_map(|entry| entry.adapters.clone()).collect();
            names.into_iter().collect()
        };
        let running = jobs.jobs.values().filter(|entry| entry.running).count();
        Status {
            health,
            running,
            waiting: jobs.jobs.len() - running,
            running_adapters: named(true),
            waiting_adapters: named(false),
            ..Status::default()
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The job runs from now on.
    pub fn run(&self) {
        if let Some(entry) = self.ledger.jobs().jobs.get_mut(&self.id) {
            entry.running = true;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.ledger.jobs().jobs.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_wait_then_run_then_are_gone() {
        let ledger = Ledger::default();
        let counts = || {
            let status = ledger.status(Health::Ready);
            (status.waiting, status.running)
        };
        let none = AdapterVector::default();
        let (one, two) = (ledger.enter(&none), ledger.enter(&none));
        assert_eq!(counts(), (2, 0));
        one.run();
        assert_eq!(counts(), (1, 1));
        drop(one);
        drop(two);
        assert_eq!(counts(), (0, 0));
    }
}

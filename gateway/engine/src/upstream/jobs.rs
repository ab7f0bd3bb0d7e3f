//! The jobs that wait for an answer or get one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::{Finish, Job, Priority, Status};

/// All jobs of the engine.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    table: Mutex<Table>,
    changed: Notify,
    prompt_tokens: AtomicU64,
    cached_tokens: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    adapters: Vec<String>,
    priority: Priority,
    /// Whether its answer has begun.
    running: bool,
}

/// A job's place among them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    jobs: Arc<Jobs>,
    id: u64,
}

impl Jobs {
    pub(super) fn enter(self: &Arc<Self>, job: &Job) -> Place {
        let names = job.adapters.entries().iter().map(|a| a.lease.name().to_string());
        let entry = Entry { adapters: names.collect(), priority: job.priority, running: false };
        let mut table = self.table();
        let id = table.next;
        table.next += 1;
        table.entries.insert(id, entry);
        Place { jobs: Arc::clone(self), id }
    }

    /// Waits until no foreground job is there.
    pub(super) async fn idle(&self) {
        self.until(|entry| entry.priority == Priority::Background).await;
    }

    /// Waits until no job is there.
    pub(super) async fn empty(&self) {
        self.until(|_| false).await;
    }

    async fn until(&self, may_stay: impl Fn(&Entry) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.table().entries.values().all(&may_stay) {
                return;
            }
            changed.await;
        }
    }

    /// The counts that an engine tells.
    pub(super) fn status(&self) -> Status {
        let table = self.table();
        let foreground = |running| {
            let wanted =
                move |e: &&Entry| e.priority == Priority::Foreground && e.running == running;
            table.entries.values().filter(wanted)
        };
        let names = |running| {
            let mut names: Vec<_> =
                foreground(running).flat_map(|entry| entry.adapters.iter().cloned()).collect();
            names.sort();
            names.dedup();
            names
        };
        Status {
            running: foreground(true).count(),
            waiting: foreground(false).count(),
            background: table
                .entries
                .values()
                .filter(|e| e.priority == Priority::Background)
                .count(),
            prefix_queries_tokens: self.prompt_tokens.load(Ordering::Relaxed),
            prefix_hits_tokens: self.cached_tokens.load(Ordering::Relaxed),
            running_adapters: names(true),
            waiting_adapters: names(false),
            ..Status::default()
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The job's answer has begun.
    pub(super) fn begin(&self) {
        if let Some(entry) = self.jobs.table().entries.get_mut(&self.id) {
            entry.running = true;
        }
    }

    /// The job was answered.
    pub(super) fn end(&self, finish: Finish) {
        self.jobs.prompt_tokens.fetch_add(finish.prompt_tokens as u64, Ordering::Relaxed);
        self.jobs.cached_tokens.fetch_add(finish.cached_tokens as u64, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.jobs.table().entries.remove(&self.id);
        self.jobs.changed.notify_waiters();
    }
}

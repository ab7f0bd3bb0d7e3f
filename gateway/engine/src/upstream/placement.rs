//! Which adapters a server has loaded for this gateway, and which must go for another.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::fault::Fault;

/// Makes a server load and unload.
pub(super) trait Loader {
    /// Has the adapter `name` loaded and tried out.
    fn load(&self, name: &str) -> impl Future<Output = Result<(), Fault>> + Send;
    /// Has it unloaded.
    fn unload(&self, name: &str) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// The adapters of one server, by name; at most `limit` at a time.
#[derive(Debug)]
pub(super) struct Placement {
    limit: usize,
    slots: Mutex<Slots>,
    changed: Notify,
    loaded: AtomicU64,
    evicted: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Slots {
    by_name: HashMap<String, Slot>,
    /// Grows with every use.
    uses: u64,
}

#[derive(Debug)]
enum Slot {
    /// It is being loaded or unloaded.
    Moving,
    /// It is there; each job that uses it has a clone of the token.
    Resident { token: Arc<()>, used: u64 },
}

/// A job's claim on an adapter: it stays while this lives.
#[derive(Debug)]
pub(super) struct Hold {
    placement: Arc<Placement>,
    /// `None` only while it is dropped.
    token: Option<Arc<()>>,
}

/// An adapter on its way in or out. If the way is given up it counts as not there.
struct Move {
    placement: Arc<Placement>,
    name: String,
    settled: bool,
}

enum Step {
    Hold(Hold),
    Load(Move),
    Evict(Move),
    Wait,
}

impl Placement {
    pub(super) fn new(limit: usize) -> Self {
        let (loaded, evicted, refused) = Default::default();
        Self { limit, slots: Mutex::default(), changed: Notify::new(), loaded, evicted, refused }
    }

    /// Whether `name` is there.
    pub(super) fn has(&self, name: &str) -> bool {
        matches!(self.slots().by_name.get(name), Some(Slot::Resident { .. }))
    }

    /// How many are there.
    pub(super) fn resident(&self) -> usize {
        self.slots().by_name.len()
    }

    /// How often each outcome came about.
    pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
        [("loaded", &self.loaded), ("evicted", &self.evicted), ("refused", &self.refused)]
            .map(|(word, count)| (word, count.load(Ordering::Relaxed)))
            .into()
    }

    /// Has `name` there, and keeps it. If there is no room, the one goes that was not used for
    /// longest; if all are in use, waits.
    ///
    /// # Errors
    /// The loader's.
    ///
    /// # Cancel safety
    /// An adapter on its way counts as not there if this is dropped.
    pub(super) async fn hold(
        self: &Arc<Self>,
        name: &str,
        loader: &impl Loader,
    ) -> Result<Hold, Fault> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.step(name) {
                Step::Hold(hold) => return Ok(hold),
                Step::Wait => changed.await,
                Step::Load(load) => {
                    if let Err(fault) = loader.load(name).await {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                        return Err(fault);
                    }
                    self.loaded.fetch_add(1, Ordering::Relaxed);
                    return Ok(load.settle());
                }
                Step::Evict(evict) => match loader.unload(&evict.name).await {
                    // Somebody else has unloaded it.
                    Ok(()) | Err(Fault::Displaced) => {
                        self.evicted.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(fault) => {
                        evict.settle();
                        return Err(fault);
                    }
                },
            }
        }
    }

    /// `name` is not there after all.
    pub(super) fn forget(&self, name: &str) {
        let mut slots = self.slots();
        if matches!(slots.by_name.get(name), Some(Slot::Resident { .. })) {
            slots.by_name.remove(name);
            self.changed.notify_waiters();
        }
    }

    fn step(self: &Arc<Self>, name: &str) -> Step {
        let mut slots = self.slots();
        slots.uses += 1;
        let now = slots.uses;
        match slots.by_name.get_mut(name) {
            Some(Slot::Moving) => return Step::Wait,
            Some(Slot::Resident { token, used }) => {
                *used = now;
                let token = Some(Arc::clone(token));
                return Step::Hold(Hold { placement: Arc::clone(self), token });
            }
            None => {}
        }
        if slots.by_name.len() < self.limit {
            return Step::Load(self.start(&mut slots, name.to_owned()));
        }
        match slots.oldest_idle() {
            Some(idle) => Step::Evict(self.start(&mut slots, idle)),
            None => Step::Wait,
        }
    }

    fn start(self: &Arc<Self>, slots: &mut Slots, name: String) -> Move {
        slots.by_name.insert(name.clone(), Slot::Moving);
        Move { placement: Arc::clone(self), name, settled: false }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// The adapter that no job uses and that was used least recently.
    fn oldest_idle(&self) -> Option<String> {
        let idle = self.by_name.iter().filter_map(|(name, slot)| match slot {
            Slot::Resident { token, used } if Arc::strong_count(token) == 1 => Some((*used, name)),
            Slot::Resident { .. } | Slot::Moving => None,
        });
        idle.min().map(|(_, name)| name.clone())
    }
}

impl Move {
    /// It is there.
    fn settle(mut self) -> Hold {
        self.settled = true;
        let token = Arc::new(());
        let mut slots = self.placement.slots();
        slots.uses += 1;
        let slot = Slot::Resident { token: Arc::clone(&token), used: slots.uses };
        slots.by_name.insert(self.name.clone(), slot);
        drop(slots);
        self.placement.changed.notify_waiters();
        Hold { placement: Arc::clone(&self.placement), token: Some(token) }
    }
}

impl Drop for Move {
    fn drop(&mut self) {
        if !self.settled {
            self.placement.slots().by_name.remove(&self.name);
            self.placement.changed.notify_waiters();
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Who waits looks at the count: it must be down before.
        self.token = None;
        self.placement.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;

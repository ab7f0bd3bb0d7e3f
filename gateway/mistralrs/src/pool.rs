//! Which model variants are in memory: built when they are wanted first, kept while there is room,
//! given up least recently used first, and **never while leased**.
//!
//! The pool knows nothing of models: a [`Workshop`] builds and unloads. Everybody who wants a
//! variant that is being built waits for that one build, and shares its failure.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use adapters::Digest;
use tokio::sync::{Notify, watch};

/// What builds variants.
pub trait Workshop: Send + Sync + 'static {
    /// What a variant is built from.
    type Recipe: Clone + Send + 'static;
    /// A variant in memory.
    type Variant: Send + Sync + 'static;

    /// Builds a variant. Blocks; builds come one at a time, each on a thread of its own.
    ///
    /// # Errors
    /// [`BuildError`]; nothing of the attempt may be left then.
    fn build(&self, key: Digest, recipe: &Self::Recipe) -> Result<Self::Variant, BuildError>;

    /// Frees a variant that nobody has a lease of. Blocks.
    fn unload(&self, variant: &Self::Variant);
}

/// Why a variant could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The adapters could not be folded into the base.
    #[error("the adapters cannot be merged: {0}")]
    Merge(String),
    /// The merged model could not be loaded.
    #[error("the merged model cannot be loaded: {0}")]
    Load(String),
    /// The build panicked.
    #[error("the build panicked")]
    Panicked,
    /// There was no thread to build on.
    #[error("there is no thread to build on: {0}")]
    Thread(String),
}

/// The variants in memory.
pub struct Pool<W: Workshop> {
    workshop: W,
    places: usize,
    state: Mutex<State<W::Variant>>,
    /// Holds builds apart.
    builder: Mutex<()>,
    /// A lease was dropped, or a build ended.
    changed: Notify,
}

struct State<V> {
    slots: HashMap<Digest, Slot<V>>,
    /// Variants that lost their place and are still to be unloaded.
    doomed: Vec<Arc<V>>,
    /// Counts uses.
    clock: u64,
}

enum Slot<V> {
    Building(Build),
    Ready { variant: Arc<V>, leases: usize, used_at: u64 },
}

/// How a build ended, once it has.
type Build = watch::Receiver<Option<Result<(), BuildError>>>;

/// What there is of a variant.
enum Found<W: Workshop> {
    Ready(Lease<W>),
    Building(Build),
    /// All places are taken by variants that are leased or being built.
    Full,
}

impl<W: Workshop> Pool<W> {
    /// An empty pool with room for `places` variants.
    pub fn new(workshop: W, places: usize) -> Arc<Self> {
        let state = State { slots: HashMap::new(), doomed: Vec::new(), clock: 0 };
        let (builder, changed) = (Mutex::new(()), Notify::new());
        Arc::new(Self { workshop, places, state: Mutex::new(state), builder, changed })
    }

    /// Leases the variant `key`, which is built from `recipe` if it is not there. Waits for the
    /// build, or until another variant can be given up; with no place at all it waits for ever.
    ///
    /// # Errors
    /// [`BuildError`] if the build that it waited for failed.
    ///
    /// # Cancel safety
    /// A build that began goes on if the future is dropped.
    pub async fn lease(
        self: &Arc<Self>,
        key: Digest,
        recipe: &W::Recipe,
    ) -> Result<Lease<W>, BuildError> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            match self.find(key, recipe) {
                Found::Ready(lease) => return Ok(lease),
                Found::Full => changed.await,
                Found::Building(mut build) => {
                    let ended = build.wait_for(Option::is_some).await;
                    ended.map_or(Err(BuildError::Panicked), |ended| {
                        ended.clone().unwrap_or(Ok(()))
                    })?;
                }
            }
        }
    }

    /// What builds the variants.
    pub const fn workshop(&self) -> &W {
        &self.workshop
    }

    /// How many variants are in memory or being built.
    pub fn len(&self) -> usize {
        self.state().slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn find(self: &Arc<Self>, key: Digest, recipe: &W::Recipe) -> Found<W> {
        let mut state = self.state();
        let now = state.tick();
        match state.slots.get_mut(&key) {
            Some(Slot::Ready { variant, leases, used_at }) => {
                *leases += 1;
                *used_at = now;
                let variant = Arc::clone(variant);
                return Found::Ready(Lease { pool: Arc::clone(self), key, variant });
            }
            Some(Slot::Building(build)) => return Found::Building(build.clone()),
            None => {}
        }
        if state.slots.len() >= self.places && !state.give_up_one() {
            return Found::Full;
        }
        let (sender, build) = watch::channel(None);
        state.slots.insert(key, Slot::Building(build.clone()));
        drop(state);
        self.begin(key, recipe.clone(), &sender);
        Found::Building(build)
    }

    /// Builds on a thread of its own: what a loader leaves in its thread dies with it.
    fn begin(self: &Arc<Self>, key: Digest, recipe: W::Recipe, sender: &Sender) {
        let pool = Arc::clone(self);
        let report = sender.clone();
        let thread = std::thread::Builder::new().name("variant".to_owned());
        let spawned = thread.spawn(move || {
            let result = pool.build(key, &recipe);
            pool.settle(key, result, &report);
        });
        if let Err(error) = spawned {
            self.settle(key, Err(BuildError::Thread(error.to_string())), sender);
        }
    }

    fn build(&self, key: Digest, recipe: &W::Recipe) -> Result<W::Variant, BuildError> {
        let _one_at_a_time = self.builder.lock().unwrap_or_else(PoisonError::into_inner);
        let doomed = std::mem::take(&mut self.state().doomed);
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            for variant in doomed {
                self.workshop.unload(&variant);
            }
            self.workshop.build(key, recipe)
        }));
        attempt.unwrap_or(Err(BuildError::Panicked))
    }

    fn settle(&self, key: Digest, result: Result<W::Variant, BuildError>, sender: &Sender) {
        let mut state = self.state();
        let used_at = state.tick();
        let result = result.map(|variant| {
            let variant = Arc::new(variant);
            state.slots.insert(key, Slot::Ready { variant, leases: 0, used_at });
        });
        if result.is_err() {
            state.slots.remove(&key);
        }
        drop(state);
        sender.send_replace(Some(result));
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State<W::Variant>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Sender = watch::Sender<Option<Result<(), BuildError>>>;

impl<V> State<V> {
    const fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Takes the place of the variant that was used longest ago and is not leased, if there is one.
    fn give_up_one(&mut self) -> bool {
        let idle = self.slots.iter().filter_map(|(key, slot)| match slot {
            Slot::Ready { leases: 0, used_at, .. } => Some((*used_at, *key)),
            Slot::Ready { .. } | Slot::Building(_) => None,
        });
        let Some((_, key)) = idle.min() else { return false };
        if let Some(Slot::Ready { variant, .. }) = self.slots.remove(&key) {
            self.doomed.push(variant);
        }
        true
    }
}

/// Proof that a variant is in memory, and what keeps it there.
pub struct Lease<W: Workshop> {
    pool: Arc<Pool<W>>,
    key: Digest,
    variant: Arc<W::Variant>,
}

impl<W: Workshop> Lease<W> {
    /// The variant.
    pub fn variant(&self) -> &W::Variant {
        &self.variant
    }
}

impl<W: Workshop> Drop for Lease<W> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        let now = state.tick();
        if let Some(Slot::Ready { leases, used_at, .. }) = state.slots.get_mut(&self.key) {
            *leases -= 1;
            *used_at = now;
        }
        drop(state);
        self.pool.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;

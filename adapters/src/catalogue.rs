//! Which adapters are in memory, under which names.
//!
//! An alias, the name that requests use, points to an immutable generation. [`Catalogue::resolve`]
//! turns the alias into a [`Lease`] once; loading, swapping and unloading move aliases and never
//! touch leases. A generation's memory is free when no alias and no lease points to it.
//!
//! Loads read and check files without holding any lock. A change is then committed under one
//! lock: the state file first, the alias after it.

mod info;
mod lease;
mod ledger;
mod restore;
mod state;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;

use crate::folder::Folder;
use crate::{Adapter, AdapterError, AdapterName, BaseModel, Digest, FolderError, Limits};

use lease::Generation;
use ledger::Ledger;
use state::{Entry, State};

pub use info::{AdapterInfo, Counters, Usage};
pub use lease::Lease;
pub use restore::{RestoreFault, RestoreReason, ShippedFault};
pub use state::StateError;

/// Names that mean something else where sets of adapters are named.
const RESERVED: [&str; 2] = ["none", "other"];

/// Where a catalogue finds adapters, and how much it may hold.
#[derive(Debug, Clone)]
pub struct CatalogueSettings {
    /// The folder that adapters are read from; every source is a path below it.
    pub root: PathBuf,
    /// Where the set of loaded adapters is kept over restarts; `None` keeps it nowhere.
    pub state: Option<PathBuf>,
    /// What is allowed.
    pub limits: Limits,
}

/// What a change expects to find under the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Anything or nothing.
    Any,
    /// Nothing.
    Absent,
    /// This generation.
    Generation(Digest),
}

/// The adapters that can be served.
#[derive(Debug)]
pub struct Catalogue {
    root: PathBuf,
    limits: Limits,
    base: BaseModel,
    aliases: DashMap<AdapterName, Arc<Generation>>,
    ledger: Arc<Ledger>,
    changes: Mutex<Changes>,
    loads: AtomicU64,
    swaps: AtomicU64,
    unloads: AtomicU64,
    refusals: AtomicU64,
}

/// What only a change may touch.
#[derive(Debug)]
struct Changes {
    state: State,
    faults: Vec<RestoreFault>,
}

/// Why the catalogue refuses.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// No adapter has this name.
    #[error("no adapter is called {0}")]
    Unknown(AdapterName),
    /// The name means something else.
    #[error("the name {0} is reserved")]
    Reserved(AdapterName),
    /// The name points to something else than expected, or was changed meanwhile.
    #[error("adapter {name} is not in the expected state")]
    Conflict {
        /// The name.
        name: AdapterName,
        /// The generation that it points to now, if any.
        found: Option<Digest>,
    },
    /// As many names are loaded as may be.
    #[error("{limit} adapters are loaded, and no more may be")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The adapter does not fit into memory beside what is there.
    #[error("the adapter needs {needed} bytes beside {resident}, and {limit} are allowed")]
    Full {
        /// What the adapter needs.
        needed: u64,
        /// What all generations hold, those retired but still leased included.
        resident: u64,
        /// The limit.
        limit: u64,
    },
    /// The adapter is refused.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The change could not be recorded, and was not made.
    #[error(transparent)]
    State(#[from] StateError),
    /// The adapter root cannot be read.
    #[error("the adapter root cannot be read: {0}")]
    Root(#[source] FolderError),
}

impl Catalogue {
    /// Opens a catalogue for `base` and loads what was loaded when the state was written last.
    ///
    /// An adapter that cannot be restored does not prevent the start: see
    /// [`Catalogue::restore_faults`].
    ///
    /// # Errors
    /// [`CatalogueError::Root`] or [`CatalogueError::State`].
    pub fn open(settings: CatalogueSettings, base: BaseModel) -> Result<Self, CatalogueError> {
        let root = Folder::root(&settings.root).map_err(CatalogueError::Root)?;
        let state = State::open(settings.state)?;
        let catalogue = Self {
            root,
            limits: settings.limits,
            base,
            aliases: DashMap::new(),
            ledger: Arc::default(),
            changes: Mutex::new(Changes { state, faults: Vec::new() }),
            loads: AtomicU64::new(0),
            swaps: AtomicU64::new(0),
            unloads: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        };
        catalogue.restore();
        Ok(catalogue)
    }

    /// Reads the adapter in the folder `source` below the root and points `name` to it.
    ///
    /// Blocks while it reads and checks files. If another change of the same name is committed
    /// meanwhile, this one fails with [`CatalogueError::Conflict`], whatever was expected.
    ///
    /// # Errors
    /// [`CatalogueError`]; the catalogue is then as it was.
    pub fn load(
        &self,
        name: &AdapterName,
        source: &str,
        expected: Expected,
    ) -> Result<AdapterInfo, CatalogueError> {
        self.count_refusal(self.try_load(name, source, expected))
    }

    /// Takes `name` away. Requests that hold a lease are not touched.
    ///
    /// # Errors
    /// [`CatalogueError::Unknown`], [`CatalogueError::Conflict`] or [`CatalogueError::State`].
    pub fn unload(&self, name: &AdapterName, expected: Expected) -> Result<(), CatalogueError> {
        self.count_refusal(self.try_unload(name, expected))
    }

    /// Leases the generation that `name` points to now. Never waits for a load.
    ///
    /// # Errors
    /// [`CatalogueError::Unknown`].
    pub fn resolve(&self, name: &AdapterName) -> Result<Lease, CatalogueError> {
        let generation = self.generation(name).ok_or_else(|| unknown(name))?;
        Ok(Lease::new(name.clone(), generation))
    }

    fn try_load(
        &self,
        name: &AdapterName,
        source: &str,
        expected: Expected,
    ) -> Result<AdapterInfo, CatalogueError> {
        self.refuse_reserved(name)?;
        let before = self.generation(name);
        check(name, before.as_ref(), expected)?;
        self.refuse_one_too_many(before.as_ref())?;
        let adapter = self.read(source)?;

        let mut changes = self.changes();
        let now = self.generation(name);
        if now.as_ref().map(Arc::as_ptr) != before.as_ref().map(Arc::as_ptr) {
            return Err(conflict(name, now.as_ref()));
        }
        self.refuse_one_too_many(now.as_ref())?;
        let generation = self.admit(adapter, source)?;
        let entry = Entry { source: source.to_owned(), digest: generation.adapter.digest };
        changes.state.record(name, Some(entry))?;
        changes.faults.retain(|fault| fault.name != *name);
        let info = AdapterInfo::new(name, &generation);
        self.aliases.insert(name.clone(), generation);
        let counter = if now.is_some() { &self.swaps } else { &self.loads };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(info)
    }

    fn try_unload(&self, name: &AdapterName, expected: Expected) -> Result<(), CatalogueError> {
        let mut changes = self.changes();
        let now = self.generation(name);
        check(name, now.as_ref(), expected)?;
        if !changes.state.entries().contains_key(name) {
            return Err(unknown(name));
        }
        changes.state.record(name, None)?;
        changes.faults.retain(|fault| fault.name != *name);
        self.aliases.remove(name);
        self.unloads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read(&self, source: &str) -> Result<Adapter, AdapterError> {
        Adapter::load(&Folder::below(&self.root, source)?, &self.base, &self.limits)
    }

    /// Enters an adapter that was read into the ledger.
    fn admit(&self, adapter: Adapter, source: &str) -> Result<Arc<Generation>, CatalogueError> {
        let (needed, limit) = (adapter.resident_bytes(), self.limits.resident_bytes);
        let claim = self.ledger.claim(needed, limit).ok_or_else(|| CatalogueError::Full {
            needed,
            resident: self.ledger.resident_bytes(),
            limit,
        })?;
        Ok(Arc::new(Generation { adapter, source: source.to_owned(), claim }))
    }

    fn refuse_reserved(&self, name: &AdapterName) -> Result<(), CatalogueError> {
        if RESERVED.contains(&name.as_str()) || name.as_str() == self.base.name {
            return Err(CatalogueError::Reserved(name.clone()));
        }
        Ok(())
    }

    fn refuse_one_too_many(
        &self,
        replaced: Option<&Arc<Generation>>,
    ) -> Result<(), CatalogueError> {
        let limit = self.limits.adapters;
        if replaced.is_none() && self.aliases.len() >= limit {
            return Err(CatalogueError::TooMany { limit });
        }
        Ok(())
    }

    fn generation(&self, name: &AdapterName) -> Option<Arc<Generation>> {
        self.aliases.get(name).map(|entry| Arc::clone(entry.value()))
    }

    /// Takes the lock of changes. A change that panicked had either been recorded or not, and the
    /// state is replaced as a whole, so the lock is as good after it.
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_refusal<T>(&self, result: Result<T, CatalogueError>) -> Result<T, CatalogueError> {
        if result.is_err() {
            self.refusals.fetch_add(1, Ordering::Relaxed);
        }
        result
    }
}

/// Whether `now` is what a change expects.
fn check(
    name: &AdapterName,
    now: Option<&Arc<Generation>>,
    expected: Expected,
) -> Result<(), CatalogueError> {
    let found = now.map(|generation| generation.adapter.digest);
    let met = match expected {
        Expected::Any => true,
        Expected::Absent => found.is_none(),
        Expected::Generation(digest) => found == Some(digest),
    };
    if met { Ok(()) } else { Err(conflict(name, now)) }
}

fn conflict(name: &AdapterName, now: Option<&Arc<Generation>>) -> CatalogueError {
    let found = now.map(|generation| generation.adapter.digest);
    CatalogueError::Conflict { name: name.clone(), found }
}

fn unknown(name: &AdapterName) -> CatalogueError {
    CatalogueError::Unknown(name.clone())
}

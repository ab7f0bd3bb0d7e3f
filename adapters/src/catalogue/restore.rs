//! What the catalogue loads by itself: what was loaded before a restart, or what was shipped.

use std::sync::Arc;

use super::{Catalogue, CatalogueError, Entry, Expected};
use crate::folder::Folder;
use crate::lora::CONFIG_FILE;
use crate::{AdapterName, Digest, NameError};

/// An adapter that was loaded before the restart and is not now.
#[derive(Debug, Clone)]
pub struct RestoreFault {
    /// Its name.
    pub name: AdapterName,
    /// The folder that it was read from.
    pub source: String,
    /// What it was.
    pub digest: Digest,
    /// Why it was not restored.
    pub reason: RestoreReason,
}

/// Why an adapter was not restored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RestoreReason {
    /// Its content is another one now.
    #[error("its content has changed to {0}")]
    Changed(Digest),
    /// It is refused now.
    #[error("{0}")]
    Refused(Arc<CatalogueError>),
}

/// A shipped folder that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ShippedFault {
    /// The folder's name is no adapter's name.
    #[error("folder {folder:?}: {reason}")]
    Name {
        /// The folder.
        folder: String,
        /// Why not.
        reason: NameError,
    },
    /// The adapter is refused.
    #[error("adapter {name}: {reason}")]
    Refused {
        /// Its name.
        name: AdapterName,
        /// Why.
        #[source]
        reason: CatalogueError,
    },
}

impl Catalogue {
    /// Loads every adapter folder directly below the root under the folder's name, once: what an
    /// operator has unloaded since, or loaded under another name, is left alone.
    ///
    /// Returns those that could not be loaded; they are tried again at the next start.
    ///
    /// # Errors
    /// [`CatalogueError::Root`] if the root cannot be listed.
    pub fn load_shipped(&self) -> Result<Vec<ShippedFault>, CatalogueError> {
        let folders =
            Folder::folders_with(&self.root, CONFIG_FILE).map_err(CatalogueError::Root)?;
        let is_new = |folder: &String| {
            let state = &self.changes().state;
            let is_loaded = state.entries().values().any(|entry| entry.source == *folder);
            !is_loaded && !state.was_offered(folder)
        };
        let new = folders.into_iter().filter(is_new);
        Ok(new.filter_map(|folder| self.ship(folder).err()).collect())
    }

    fn ship(&self, folder: String) -> Result<(), ShippedFault> {
        let name = match AdapterName::parse(&folder) {
            Ok(name) => name,
            Err(reason) => return Err(ShippedFault::Name { folder, reason }),
        };
        let loaded = self.load(&name, &folder, Expected::Absent);
        let kept = loaded.and_then(|_| Ok(self.changes().state.offer(folder)?));
        kept.map_err(|reason| ShippedFault::Refused { name, reason })
    }

    /// Loads every adapter of the state, in order of names.
    pub(super) fn restore(&self) {
        let mut changes = self.changes();
        let entries: Vec<_> =
            changes.state.entries().iter().map(|(n, e)| (n.clone(), e.clone())).collect();
        for (name, entry) in entries {
            if let Err(reason) = self.restore_one(&name, &entry) {
                let Entry { source, digest } = entry;
                changes.faults.push(RestoreFault { name, source, digest, reason });
            }
        }
    }

    fn restore_one(&self, name: &AdapterName, entry: &Entry) -> Result<(), RestoreReason> {
        let refused = |error| RestoreReason::Refused(Arc::new(error));
        self.refuse_reserved(name).map_err(refused)?;
        self.refuse_one_too_many(None).map_err(refused)?;
        let adapter = self.read(&entry.source).map_err(|error| refused(error.into()))?;
        if adapter.digest != entry.digest {
            return Err(RestoreReason::Changed(adapter.digest));
        }
        let generation = self.admit(adapter, &entry.source).map_err(refused)?;
        self.aliases.insert(name.clone(), generation);
        Ok(())
    }
}

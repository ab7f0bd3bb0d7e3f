//! The adapters that a server was started with, by name.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names and ids.
pub(super) type Ids = BTreeMap<String, u64>;

/// Which of a server's adapters were tried out.
#[derive(Debug, Default)]
pub(super) struct Roster(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// What the server said last.
    ids: Ids,
    /// Those that were seen to change what the model says.
    tried: Vec<u64>,
}

impl Roster {
    /// Takes what the server says now; if that is news, nothing is tried out any more.
    pub(super) fn see(&self, ids: &Ids) {
        let mut known = self.known();
        if known.ids != *ids {
            *known = Known { ids: ids.clone(), tried: Vec::new() };
        }
    }

    pub(super) fn is_tried(&self, id: u64) -> bool {
        self.known().tried.contains(&id)
    }

    pub(super) fn set_tried(&self, id: u64) {
        self.known().tried.push(id);
    }

    /// The server may come back as another.
    pub(super) fn clear(&self) {
        *self.known() = Known::default();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

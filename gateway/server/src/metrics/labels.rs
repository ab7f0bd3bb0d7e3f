//! Labels for adapters and sets of adapters, of which there are only so many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

/// What sets beyond the limit are called. No adapter can have this name.
pub(crate) const OTHER: &str = "other";

/// The sets that have a label of their own: the first ones, up to a limit.
#[derive(Debug)]
pub(crate) struct SetLabels {
    limit: usize,
    taken: AtomicUsize,
    labels: DashMap<String, Arc<str>>,
}

impl SetLabels {
    /// Room for `limit` labels.
    #[must_use]
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, taken: AtomicUsize::new(0), labels: DashMap::new() }
    }

    /// The label of the set called `name`; the caller has checked that its adapters exist.
    pub(crate) fn label(&self, name: &str) -> Arc<str> {
        if let Some(label) = self.labels.get(name) {
            return Arc::clone(&label);
        }
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            (taken < self.limit).then_some(taken + 1)
        });
        if taken.is_err() {
            return OTHER.into();
        }
        match self.labels.entry(name.to_owned()) {
            Entry::Occupied(label) => {
                self.taken.fetch_sub(1, Ordering::Relaxed);
                Arc::clone(label.get())
            }
            Entry::Vacant(place) => Arc::clone(&place.insert(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_beyond_the_limit_are_other_and_known_ones_stay() {
        let labels = SetLabels::new(2);
        assert_eq!(&*labels.label("none"), "none");
        assert_eq!(&*labels.label("gender"), "gender");
        assert_eq!(&*labels.label("race"), "other");
        assert_eq!(&*labels.label("gender"), "gender");
    }
}

//! Admission: how many jobs may be in the house, waiting or running.
//!
//! A [`Permit`] can only come from [`Admission::admit`], and [`Engine::submit`](crate::Engine::submit)
//! takes one, so work that was never admitted cannot reach an engine. One permit lives from
//! admission to the last byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The gate in front of an engine.
#[derive(Debug, Clone)]
pub struct Admission {
    limit: usize,
    admitted: Arc<AtomicUsize>,
}

/// Proof of admission; the place is free again when it is dropped.
#[derive(Debug)]
pub struct Permit {
    admitted: Arc<AtomicUsize>,
}

/// The queue is full: try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all {limit} places are taken")]
pub struct QueueFull {
    /// The number of places.
    pub limit: usize,
}

impl Admission {
    /// A gate with `limit` places.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, admitted: Arc::default() }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`QueueFull`] if none is free.
    pub fn admit(&self) -> Result<Permit, QueueFull> {
        self.admitted
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
                (n < self.limit).then_some(n + 1)
            })
            .map(|_| Permit { admitted: Arc::clone(&self.admitted) })
            .map_err(|_| QueueFull { limit: self.limit })
    }

    /// How many places are taken.
    #[must_use]
    pub fn admitted(&self) -> usize {
        self.admitted.load(Ordering::Acquire)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admitted.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_permit_frees_its_place() {
        let gate = Admission::new(1);
        let permit = gate.admit().expect("the first place is free");
        assert_eq!(gate.admit().err(), Some(QueueFull { limit: 1 }));
        drop(permit);
        assert_eq!(gate.admitted(), 0);
        assert!(gate.admit().is_ok());
    }
}

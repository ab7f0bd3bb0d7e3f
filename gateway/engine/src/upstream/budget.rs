//! How much may be tried again: a fleet that is down must not be asked several times as often.

use std::sync::{Mutex, PoisonError};

/// What every job adds.
const SHARE: f64 = 0.2;
/// What may be saved up, and what there is at the start.
const RESERVE: f64 = 20.0;

/// Attempts beyond the first, as a share of the jobs.
#[derive(Debug)]
pub(super) struct RetryBudget(Mutex<f64>);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Mutex::new(RESERVE))
    }
}

impl RetryBudget {
    /// A job begins.
    pub(super) fn deposit(&self) {
        let mut saved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *saved = (*saved + SHARE).min(RESERVE);
    }

    /// Whether a job may be sent once more.
    pub(super) fn withdraw(&self) -> bool {
        let mut saved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = *saved >= 1.0;
        if enough {
            *saved -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_the_jobs() {
        let budget = RetryBudget::default();
        let reserve = (0..1_000).filter(|_| budget.withdraw()).count();
        assert_eq!(reserve, 20);
        let retries = (0..100).filter(|_| {
            budget.deposit();
            budget.withdraw()
        });
        assert_eq!(retries.count(), 20);
    }
}

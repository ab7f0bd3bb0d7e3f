//! The time: the only place that asks for it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time for measuring.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Time since 1970.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

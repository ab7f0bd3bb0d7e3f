//! Numbers that nobody can foresee, for request ids and for seeds that were not given.
//!
//! The standard library keys every hash map from the system's random source; an empty hash under
//! such a key is a random number. It is no key for secrets, and none is made of it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

/// 64 random bits.
pub(crate) fn bits() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A random number from 0 to below 1.
pub(crate) fn unit() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let upper = (bits() >> 11) as f64;
    upper / (1_u64 << 53) as f64
}

/// 128 random bits as hexadecimal text.
pub(crate) fn id() -> String {
    format!("{:016x}{:016x}", bits(), bits())
}

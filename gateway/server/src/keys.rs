//! Who may call: API keys with scopes, kept as hashes in a file that the operator writes.
//!
//! Without a key file everybody may do everything, and settings see to it that such a gateway is
//! not reached by everybody. With one, a handler is reached through a [`Caller`] only.
//!
//! **Invariant:** a secret is hashed where it is read and goes no further: not into a log, a
//! metric, an error or a field.

mod caller;
mod file;
mod rates;
mod ring;
mod rules;
mod scope;
mod secret;
mod standing;

use std::sync::{Arc, PoisonError, RwLock};

pub use file::KeyFileError;

pub(crate) use caller::{AdaptersRead, AdaptersWrite, Caller, Guarded, Infer, Metrics};
pub(crate) use rates::Reservation;
pub(crate) use ring::Keyring;
pub(crate) use rules::Rules;
pub(crate) use standing::Standing;

use gateway_wire::selection::ScaleBounds;

use crate::settings::KeySettings;

/// What every request is checked against.
#[derive(Debug)]
pub struct Guard {
    /// `None` if no keys are asked for.
    ring: Option<RwLock<Arc<Keyring>>>,
}

impl Guard {
    /// Reads the key file, if the settings name one. Scales in it must be within `bounds`.
    ///
    /// # Errors
    /// If it cannot be read or is not understood.
    pub fn load(settings: &KeySettings, bounds: ScaleBounds) -> Result<Self, KeyFileError> {
        let Some(path) = &settings.file else { return Ok(Self { ring: None }) };
        let ring = Keyring::parse(&file::read(path)?, bounds, &Keyring::default())?;
        Ok(Self { ring: Some(RwLock::new(Arc::new(ring))) })
    }

    /// The keys of this moment; `None` if none are asked for.
    pub(crate) fn ring(&self) -> Option<Arc<Keyring>> {
        let ring = self.ring.as_ref()?;
        Some(Arc::clone(&ring.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

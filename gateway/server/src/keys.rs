//! Who may call: API keys with scopes, kept as hashes in a file that the operator writes.
//!
//! Without a key file everybody may do everything, and settings see to it that such a gateway is
//! not reached by everybody. With one, a handler is reached through a `Caller` only.
//!
//! **Invariant:** a secret is hashed where it is read and goes no further: not into a log, a
//! metric, an error or a field.

mod caller;
mod command;
mod file;
mod rates;
mod reload;
mod ring;
mod rules;
mod scope;
mod secret;
mod standing;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use command::{KeyAction, KeyCommand, KeyCommandError};
pub use file::KeyFileError;

pub(crate) use caller::{
    AdaptersRead, AdaptersWrite, Any, Caller, Demand, Guarded, Infer, Metrics,
};
pub(crate) use rates::Reservation;
pub(crate) use ring::Keyring;
pub(crate) use rules::Rules;
pub(crate) use scope::Scope;
pub(crate) use standing::Standing;

use gateway_wire::selection::ScaleBounds;

use crate::audit::Audit;
use crate::settings::KeySettings;
use crate::watch::{self, Watching};
use reload::Watch;

/// What every request is checked against.
#[derive(Debug)]
pub struct Guard {
    /// `None` if no keys are asked for.
    door: Option<Door>,
}

#[derive(Debug)]
struct Door {
    ring: RwLock<Arc<Keyring>>,
    watch: Mutex<Watch>,
}

impl Guard {
    /// Reads the key file, if the settings name one. Scales in it must be within `bounds`.
    ///
    /// # Errors
    /// If it cannot be read or is not understood.
    pub fn load(settings: &KeySettings, bounds: ScaleBounds) -> Result<Self, KeyFileError> {
        let Some(path) = &settings.file else { return Ok(Self { door: None }) };
        let text = file::read(path)?;
        let ring = Keyring::parse(&text, bounds, &Keyring::default())?;
        let watch = Watch::new(path.clone(), bounds, text);
        let door = Door { ring: RwLock::new(Arc::new(ring)), watch: Mutex::new(watch) };
        Ok(Self { door: Some(door) })
    }

    /// The keys of this moment; `None` if none are asked for.
    pub(crate) fn ring(&self) -> Option<Arc<Keyring>> {
        self.door.as_ref().map(Door::ring)
    }

    /// Looks whether the file has changed, and takes over what it says then: all of it at once.
    fn refresh(&self, metrics: &crate::Metrics, audit: &Audit) {
        let Some(door) = &self.door else { return };
        let mut watch = door.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let former = door.ring();
        let look = watch.look(&former);
        if let Some(ring) = reload::report(look, &former, metrics, audit) {
            *door.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        }
    }
}

impl Door {
    fn ring(&self) -> Arc<Keyring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Has the gateway's key file watched, if it has one, until what comes back is dropped.
///
/// # Errors
/// If there can be no thread.
pub(crate) fn watch(
    gateway: &Arc<crate::Gateway>,
    settings: &KeySettings,
) -> std::io::Result<Option<Watching>> {
    if settings.file.is_none() {
        return Ok(None);
    }
    let gateway = Arc::clone(gateway);
    watch::every(settings.reload, move || gateway.guard.refresh(&gateway.metrics, &gateway.audit))
        .map(Some)
}

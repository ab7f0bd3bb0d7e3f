//! The keys themselves, and how a presented secret finds its own.

use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::rates::{RateSettings, Rates};
use super::rules::Rules;
use super::scope::Scope;
use super::secret::Fingerprint;
use crate::audit::KeysChange;

/// The most keys that a file may have: each request is compared with all of them.
pub(crate) const MAX_KEYS: usize = 1_024;

/// A key that can be presented.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its public name, for logs and metrics.
    pub(crate) id: Arc<str>,
    pub(super) fingerprint: Fingerprint,
    pub(super) scopes: Vec<Scope>,
    /// From when on it is good for nothing, since 1970.
    pub(super) expires: Option<Duration>,
    pub(super) rules: Rules,
    pub(super) rates: Arc<Rates>,
}

/// All keys of a file.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    pub(super) keys: Vec<Arc<Key>>,
}

/// Why nobody stands behind a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// No key has this secret.
    Unknown,
    /// The key with this id is over.
    Expired(Arc<str>),
}

impl Keyring {
    /// The key whose secret this is, at the time `now` since 1970.
    ///
    /// Every key is compared, each over all of its bytes, so that the time that it takes depends on
    /// nothing but how many keys there are.
    ///
    /// # Errors
    /// If there is none, or it has expired.
    pub(crate) fn find(&self, secret: &[u8], now: Duration) -> Result<Arc<Key>, Stranger> {
        let presented = Fingerprint::of(secret);
        let mut found = None;
        for key in &self.keys {
            if key.fingerprint.ct_eq(&presented).into() {
                found = Some(key);
            }
        }
        let key = found.ok_or(Stranger::Unknown)?;
        if key.expires.is_some_and(|end| end <= now) {
            return Err(Stranger::Expired(Arc::clone(&key.id)));
        }
        Ok(Arc::clone(key))
    }
}

impl Keyring {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Which keys are not as they were in `former`.
    pub(super) fn change_since(&self, former: &Self) -> KeysChange {
        let find = |ring: &Self, id: &str| ring.keys.iter().find(|key| &*key.id == id).cloned();
        let mut change = KeysChange { keys: self.len(), ..KeysChange::default() };
        for key in &self.keys {
            match find(former, &key.id) {
                None => change.added.push(key.id.to_string()),
                Some(before) if !key.is_as(&before) => change.changed.push(key.id.to_string()),
                Some(_) => {}
            }
        }
        let gone = former.keys.iter().filter(|key| find(self, &key.id).is_none());
        change.removed.extend(gone.map(|key| key.id.to_string()));
        change
    }

    /// The buckets of the key `id`, if it has these rates: a key that stays keeps what it has used.
    pub(super) fn rates(&self, id: &str, settings: RateSettings) -> Arc<Rates> {
        let former = self.keys.iter().find(|key| &*key.id == id);
        let kept = former.map(|key| &key.rates).filter(|rates| rates.settings == settings);
        kept.map_or_else(|| Arc::new(Rates::new(settings)), Arc::clone)
    }
}

impl Key {
    /// Whether it opens what `other` opens, to the same secret.
    fn is_as(&self, other: &Self) -> bool {
        bool::from(self.fingerprint.ct_eq(&other.fingerprint))
            && self.scopes == other.scopes
            && self.expires == other.expires
            && self.rules == other.rules
            && self.rates.settings == other.rates.settings
    }

    /// Whether it is good for one of `scopes`.
    pub(crate) fn has_any(&self, scopes: &[Scope]) -> bool {
        self.scopes.iter().any(|scope| scopes.contains(scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, expires: Option<u64>) -> Arc<Key> {
        Arc::new(Key {
            id: id.into(),
            fingerprint: Fingerprint::of(id.as_bytes()),
            scopes: vec![Scope::Infer],
            expires: expires.map(Duration::from_secs),
            rules: Rules::default(),
            rates: Arc::new(Rates::new(RateSettings::default())),
        })
    }

    #[test]
    fn a_secret_finds_its_key_until_the_second_in_which_it_expires() {
        let ring = Keyring { keys: vec![key("a", None), key("b", Some(100)), key("c", None)] };
        let find = |secret: &str, now| {
            ring.find(secret.as_bytes(), Duration::from_secs(now)).map(|key| key.id.to_string())
        };
        assert_eq!(find("a", 0), Ok("a".to_owned()));
        assert_eq!(find("c", u64::MAX), Ok("c".to_owned()));
        assert_eq!(find("b", 99), Ok("b".to_owned()));
        assert_eq!(find("b", 100), Err(Stranger::Expired("b".into())));
        for unknown in ["", "d", "aa"] {
            assert_eq!(find(unknown, 0), Err(Stranger::Unknown));
        }
    }

    #[test]
    fn a_key_is_good_for_its_scopes_only() {
        let key = key("a", None);
        assert!(key.has_any(&[Scope::AdaptersWrite, Scope::Infer]));
        assert!(!key.has_any(&[Scope::AdaptersWrite, Scope::Metrics]) && !key.has_any(&[]));
    }
}

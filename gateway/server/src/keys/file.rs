//! The key file: TOML, a table `[[keys]]` for each key.
//!
//! Errors say where and what, and quote nothing: a secret may have been put into the wrong place.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway_wire::selection::ScaleBounds;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::rates::RateSettings;
use super::ring::{Key, Keyring, MAX_KEYS};
use super::rules::Rules;
use super::scope::Scope;
use super::secret::Fingerprint;

/// The longest file that is read.
const MAX_BYTES: u64 = 1 << 20;

const MAX_ID_BYTES: usize = 64;

/// What ids are.
pub(super) const ID_FORM: &str = "an id has 1 to 64 letters, digits, '-', '_' and '.'";

/// What scopes are.
pub(super) const SCOPES_FORM: &str = "scopes are one or more of infer, adapters:write and metrics";

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It is not there, or may not be read.
    #[error("the key file cannot be read: {0}")]
    Read(std::io::ErrorKind),
    /// It is longer than any file of keys.
    #[error("the key file is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// It is not TOML, or has other tables, fields or types than it should.
    #[error("the key file is not understood at line {line}")]
    Syntax {
        /// The line, from 1.
        line: usize,
    },
    /// A key's field has a value that it cannot have.
    #[error("key {number} of the key file: {what}")]
    Key {
        /// Which key, from 1.
        number: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// More than are taken.
    #[error("the key file has more than {MAX_KEYS} keys")]
    TooMany,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    keys: Vec<Entry>,
}

/// A key as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    hash: String,
    scopes: Vec<String>,
    expires: Option<toml::value::Datetime>,
    #[serde(default)]
    minimum: BTreeMap<String, f32>,
    adapters: Option<Vec<String>>,
    requests_per_minute: Option<NonZeroU32>,
    tokens_per_minute: Option<NonZeroU32>,
}

/// Reads the file's text.
///
/// # Errors
/// If it cannot be read, is too long, or is not UTF-8.
pub(super) fn read(path: &Path) -> Result<String, KeyFileError> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| KeyFileError::Read(error.kind()))?;
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    match read.map_err(|error| KeyFileError::Read(error.kind()))? as u64 {
        0..=MAX_BYTES => Ok(text),
        _ => Err(KeyFileError::TooLong),
    }
}

impl Keyring {
    /// Understands a file's text. Scales in it must be within `bounds`; rates that `former` has
    /// for the same key go on.
    ///
    /// # Errors
    /// [`KeyFileError`] with the first thing that is wrong.
    pub(crate) fn parse(
        text: &str,
        bounds: ScaleBounds,
        former: &Self,
    ) -> Result<Self, KeyFileError> {
        let file: File = toml::from_str(text).map_err(|error| syntax(text, &error))?;
        if file.keys.len() > MAX_KEYS {
            return Err(KeyFileError::TooMany);
        }
        let mut ids = BTreeSet::new();
        let mut keys: Vec<Arc<Key>> = Vec::with_capacity(file.keys.len());
        let mut hashes = BTreeSet::new();
        for (index, entry) in file.keys.into_iter().enumerate() {
            let fault = |what| KeyFileError::Key { number: index + 1, what };
            if !ids.insert(entry.id.clone()) {
                return Err(fault("its id is another key's"));
            }
            if !hashes.insert(entry.hash.clone()) {
                return Err(fault("its hash is another key's"));
            }
            keys.push(Arc::new(entry.check(bounds, former).map_err(fault)?));
        }
        Ok(Self { keys })
    }
}

fn syntax(text: &str, error: &toml::de::Error) -> KeyFileError {
    let offset = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.as_bytes().iter().take(offset);
    KeyFileError::Syntax { line: before.filter(|byte| **byte == b'\n').count() + 1 }
}

impl Entry {
    fn check(self, bounds: ScaleBounds, former: &Keyring) -> Result<Key, &'static str> {
        if !is_id(&self.id) {
            return Err(ID_FORM);
        }
        let fingerprint = Fingerprint::parse(&self.hash)
            .ok_or("a hash is sha256: and 64 digits, as `lethe-gateway key new` writes it")?;
        let scopes = self.scopes.iter().map(|text| Scope::parse(text)).collect::<Option<Vec<_>>>();
        let scopes = scopes.filter(|scopes| !scopes.is_empty());
        let rates = RateSettings {
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
        };
        Ok(Key {
            rates: former.rates(&self.id, rates),
            id: self.id.into(),
            fingerprint,
            scopes: scopes.ok_or(SCOPES_FORM)?,
            expires: self.expires.as_ref().map(parse_time).transpose()?,
            rules: Rules::new(self.minimum, self.adapters, bounds)?,
        })
    }
}

/// Whether this can be a key's id.
pub(super) fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

/// Time since 1970.
fn parse_time(time: &toml::value::Datetime) -> Result<Duration, &'static str> {
    let time = OffsetDateTime::parse(&time.to_string(), &Rfc3339);
    let time = time.map_err(|_| "expires is a time such as 2030-01-31T00:00:00Z")?;
    Ok(Duration::from_secs(u64::try_from(time.unix_timestamp()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: ScaleBounds = ScaleBounds { low: -2.0, high: 2.0 };

    fn entry(id: &str, rest: &str) -> String {
        format!("[[keys]]\nid = '{id}'\nhash = '{}'\n{rest}\n", Fingerprint::of(id.as_bytes()))
    }

    fn parse(text: &str) -> Result<Keyring, String> {
        Keyring::parse(text, BOUNDS, &Keyring::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_has_any_number_of_keys() {
        assert_eq!(parse("").unwrap().keys.len(), 0);
        let text = entry("a", "scopes = ['infer', 'metrics']\nexpires = 1970-01-02T00:00:00Z")
            + &entry("b.B_1-2", "scopes = ['adapters:write']");
        let ring = parse(&text).unwrap();
        let [a, b] = &ring.keys[..] else { panic!("two keys") };
        assert_eq!((&*a.id, &*b.id), ("a", "b.B_1-2"));
        assert_eq!(a.scopes, [Scope::Infer, Scope::Metrics]);
        assert_eq!((a.expires, b.expires), (Some(Duration::from_secs(86_400)), None));
    }

    #[test]
    fn what_is_wrong_is_said_without_quoting_it() {
        let scopes = "scopes = ['infer']";
        let hash = format!("hash = '{}'", Fingerprint::of(b"x"));
        for (text, said) in [
            ("[[keys]\n".to_owned(), "line 1"),
            ("\n[[keys]]\nid = 7".to_owned(), "line 3"),
            (entry("a", "scopes = ['infer']\nhush = 1"), "line 5"),
            ("[[other]]".to_owned(), "line 1"),
            (entry("a", ""), "line 1"),
            (entry("", scopes), "key 1 of the key file: an id has"),
            (entry("a b", scopes), "an id has"),
            (entry(&"a".repeat(65), scopes), "an id has"),
            (format!("[[keys]]\nid = 'a'\nhash = 'hush'\n{scopes}"), "a hash is sha256:"),
            (entry("a", "scopes = []"), "scopes are"),
            (entry("a", "scopes = ['infer', 'hush']"), "scopes are"),
            (entry("a", "scopes = ['infer']\nexpires = 2030-01-01"), "expires is a time"),
            (entry("a", "scopes = ['infer']\nexpires = 2030-01-01T00:00:00"), "expires is"),
            (entry("a", "scopes = ['infer']\nminimum = {gender = 3}"), "a scale of minimum is"),
            (entry("a", "scopes = ['infer']\nadapters = ['Hush hush']"), "name adapters"),
            (entry("a", "scopes = ['infer']\ntokens_per_minute = 0"), "line 5"),
            (entry("a", scopes) + &entry("a", scopes), "key 2 of the key file: its id"),
            (
                format!("[[keys]]\nid='a'\n{hash}\n{scopes}\n[[keys]]\nid='b'\n{hash}\n{scopes}"),
                "key 2 of the key file: its hash",
            ),
        ] {
            let error = parse(&text).expect_err(&text);
            assert!(error.contains(said) && !error.contains("hush"), "{text}: {error}");
        }
        let many: String = (0..=MAX_KEYS).map(|id| entry(&id.to_string(), scopes)).collect();
        assert!(parse(&many).expect_err("too many").contains("more than 1024"));
    }

    #[test]
    fn a_key_that_stays_keeps_what_it_has_used_unless_its_rates_change() {
        let text = |rate| entry("a", &format!("scopes = ['infer']\nrequests_per_minute = {rate}"));
        let former = parse(&text(1)).unwrap();
        assert!(former.keys[0].rates.request().1.is_ok());
        let next = |rate| Keyring::parse(&text(rate), BOUNDS, &former).unwrap();
        assert!(next(1).keys[0].rates.request().1.is_err());
        assert!(next(2).keys[0].rates.request().1.is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_keys_or_an_error(text in "(\\[\\[keys\\]\\]|[a-z= '\\[\\]\n0-9:-]){0,80}") {
            let _ = parse(&text);
        }
    }
}

//! Secrets and what is kept of them.
//!
//! A secret is 256 random bits, so its SHA-256 is enough: no table and no amount of guessing finds
//! it, which is all that salt and a slow hash are for. Those protect passwords, which people
//! choose; here they would cost every request milliseconds (`docs/adr/0009-api-keys.md`).

use std::fmt;

use base16ct::{HexDisplay, lower};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

const PREFIX: &str = "sha256:";

/// A new secret. It is shown once and kept nowhere.
pub(super) struct Secret(String);

impl Secret {
    /// 256 bits from the system's random source.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("lethe-sk-{:x}", HexDisplay(&bytes))))
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.as_bytes())
    }

    /// The secret itself.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

/// The SHA-256 of a secret.
#[derive(Clone, Copy)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of `secret`, as a client sends it.
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Reads `sha256:` and 64 lower-case hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let read = lower::decode(text.strip_prefix(PREFIX)?, &mut bytes).ok()?;
        (read.len() == size_of::<Self>()).then_some(Self(bytes))
    }
}

impl ConstantTimeEq for Fingerprint {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:x}", HexDisplay(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of "abc" is in FIPS 180-4's examples.
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_fingerprint_is_the_sha256_and_is_read_as_it_is_written() {
        let of = Fingerprint::of(b"abc");
        assert_eq!(of.to_string(), ABC);
        let read = Fingerprint::parse(ABC).unwrap();
        assert!(bool::from(read.ct_eq(&of)));
        assert!(!bool::from(read.ct_eq(&Fingerprint::of(b"abd"))));
    }

    #[test]
    fn no_two_secrets_are_the_same() {
        let [a, b] = [(); 2].map(|()| Secret::new().unwrap());
        assert_ne!(a.reveal(), b.reveal());
        assert_eq!(a.reveal().len(), "lethe-sk-".len() + 64);
    }

    #[test]
    fn what_is_not_sha256_in_lower_case_is_none() {
        let upper = ABC.to_uppercase();
        for text in ["", "sha256:", &ABC[..70], &format!("{ABC}0"), &upper, &ABC[7..]] {
            assert!(Fingerprint::parse(text).is_none(), "{text}");
        }
        assert!(Fingerprint::parse(&ABC.replace("ba", "é")).is_none());
    }
}

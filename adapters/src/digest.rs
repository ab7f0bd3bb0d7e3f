//! The identity of content.

use std::fmt;
use std::str::FromStr;

use base16ct::{HexDisplay, lower};
use sha2::{Digest as _, Sha256};

/// SHA-256 of an adapter's content. It never changes meaning: other content has another digest.
///
/// As text it is `sha256:` and 64 lower-case hexadecimal digits.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// The text is not `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 'sha256:' and 64 lower-case hexadecimal digits")]
pub struct DigestError;

impl Digest {
    const PREFIX: &str = "sha256:";

    /// The digest of a sequence of parts. Each part is hashed after its length, so that bytes
    /// cannot move from one part to the next under the same digest.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first `bytes` of them, in lower-case hexadecimal digits, for names of files.
    #[must_use]
    pub fn prefix(&self, bytes: usize) -> String {
        lower::encode_string(&self.0[..bytes.min(self.0.len())])
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits = text.strip_prefix(Self::PREFIX).ok_or(DigestError)?;
        let mut bytes = [0; 32];
        match lower::decode(digits, &mut bytes) {
            Ok(read) if read.len() == size_of::<Self>() => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(DigestError),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:x}", Self::PREFIX, HexDisplay(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let digest = Digest::of(&[b"config", b"weights"]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
    }

    #[test]
    fn bytes_cannot_move_between_parts() {
        assert_ne!(Digest::of(&[b"ab", b"c"]), Digest::of(&[b"a", b"bc"]));
        assert_ne!(Digest::of(&[b"ab"]), Digest::of(&[b"ab", b""]));
    }

    #[test]
    fn other_spellings_are_refused() {
        let good = Digest::of(&[]).to_string();
        for text in [
            String::new(),
            good.to_uppercase(),
            good.replace("sha256:", "sha1:"),
            format!("{good}0"),
            good[..70].to_owned(),
            good.replacen(|c: char| c.is_ascii_digit(), "g", 1),
            format!("sha256:{}", "é".repeat(32)),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(DigestError), "{text}");
        }
    }
}

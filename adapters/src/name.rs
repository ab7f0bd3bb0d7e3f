//! Names of adapters.

use std::fmt;

/// What requests call an adapter: `[a-z0-9][a-z0-9._-]{0,63}`, and so safe as a label and a file name.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct AdapterName(String);

/// Why a text is not an adapter's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("an adapter name is empty")]
    Empty,
    /// Longer than [`AdapterName::MAX_BYTES`].
    #[error("an adapter name is longer than 64 characters")]
    TooLong,
    /// A character that names cannot have, or cannot begin with.
    #[error(
        "an adapter name has lower-case letters, digits, '.', '_' and '-', and begins with a letter or digit"
    )]
    Character,
}

impl AdapterName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Reads a name.
    ///
    /// # Errors
    /// [`NameError`] if `text` is not `[a-z0-9][a-z0-9._-]{0,63}`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let first = *text.as_bytes().first().ok_or(NameError::Empty)?;
        if text.len() > Self::MAX_BYTES {
            return Err(NameError::TooLong);
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if !plain(first) || !text.bytes().all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-')) {
            return Err(NameError::Character);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AdapterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AdapterName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<AdapterName> for String {
    fn from(name: AdapterName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_root_are_refused() {
        for text in ["../x", "/etc/x", "x/y", ".x", "-x", "Gender", "a b", "x\n", "é"] {
            assert_eq!(AdapterName::parse(text), Err(NameError::Character), "{text:?}");
        }
        assert_eq!(AdapterName::parse(""), Err(NameError::Empty));
        assert_eq!(AdapterName::parse(&"a".repeat(65)), Err(NameError::TooLong));
        assert!(AdapterName::parse(&"a".repeat(64)).is_ok());
        assert!(AdapterName::parse("gender-v1.2_b").is_ok());
    }
}

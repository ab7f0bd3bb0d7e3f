//! Names of domains, tests and metrics.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A lower-case word, `[a-z0-9][a-z0-9_-]{0,63}`, that names a domain, a test or a metric.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Word(String);

/// The text is not a [`Word`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a word has 1 to 64 lower-case letters, digits, '_' and '-', and begins with a letter or digit"
)]
pub struct WordError;

impl Word {
    /// Reads a word.
    ///
    /// # Errors
    /// [`WordError`] if it is none.
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let good = text.len() <= 64
            && text.bytes().next().is_some_and(plain)
            && text.bytes().all(|b| plain(b) || matches!(b, b'_' | b'-'));
        if good { Ok(Self(text.to_owned())) } else { Err(WordError) }
    }

    /// The word as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Word {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        Self::parse(&text)
    }
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.0
    }
}

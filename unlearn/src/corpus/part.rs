//! Training, validation and test.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Weights are fitted to it.
    Train,
    /// Choices are made on it: epochs, calibration, thresholds.
    Valid,
    /// It is only reported on.
    Test,
}

impl Part {
    /// Its name: `train`, `valid` or `test`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }

    /// The part that a text is in where its set has no split of its own: 80, 10 and 10 of a
    /// hundred, by a digest of its letters, so that near copies stay together. Row numbers would not
    /// do: some sets have none, and others repeat them.
    pub(crate) fn of(text: &str) -> Self {
        match key(text)[0] {
            0..205 => Self::Train,
            205..230 => Self::Valid,
            230.. => Self::Test,
        }
    }
}

/// What a text is known by: the SHA-256 of its letters.
pub(crate) fn key(text: &str) -> [u8; 32] {
    Sha256::digest(letters(text).as_bytes()).into()
}

/// What near copies of a text have in common: its letters and digits, in lower case.
pub(crate) fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_and_its_near_copy_are_in_the_same_part() {
        let texts: Vec<_> = (0..200).map(|n| format!("Text number {n}")).collect();
        let near = |text: &String| Part::of(&format!("{}!!", text.to_uppercase()));
        assert!(texts.iter().all(|text| Part::of(text) == near(text)));
        let train = texts.iter().filter(|text| Part::of(text) == Part::Train).count();
        assert!((140..180).contains(&train), "{train} of 200");
    }
}

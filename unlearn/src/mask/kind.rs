//! The kinds of masks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How targets are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskKind {
    /// Words that name a group, after the first of them.
    Group,
    /// The tokens of the harmful phrase that harmless text does not use.
    Distinctive,
    /// The phrase that annotators marked.
    Phrase,
    /// The characters that annotators marked.
    Spans,
    /// Words that annotators mark more often than not.
    Lexicon,
    /// Words of the phrase that the embedded toxicity scorer blames.
    Blamed,
    /// Tokens of the phrase that the model finds likelier when the group is named.
    Assisted,
    /// Control: the whole text.
    All,
    /// Control: as many tokens as the phrase has, anywhere.
    Random,
}

/// No kind of mask has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a mask is {}", MaskKind::NAMES)]
pub struct UnknownMask;

impl MaskKind {
    /// All kinds.
    pub const KINDS: [Self; 9] = [
        Self::Group,
        Self::Distinctive,
        Self::Phrase,
        Self::Spans,
        Self::Lexicon,
        Self::Blamed,
        Self::Assisted,
        Self::All,
        Self::Random,
    ];

    /// Their names, for messages.
    pub const NAMES: &str =
        "group, distinctive, phrase, spans, lexicon, blamed, assisted, all or random";

    /// Its name in run files and flags.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Distinctive => "distinctive",
            Self::Group => "group",
            Self::Phrase => "phrase",
            Self::Spans => "spans",
            Self::Lexicon => "lexicon",
            Self::Blamed => "blamed",
            Self::Assisted => "assisted",
            Self::All => "all",
            Self::Random => "random",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::KINDS.into_iter().find(|kind| kind.name() == name)
    }
}

impl FromStr for MaskKind {
    type Err = UnknownMask;

    fn from_str(name: &str) -> Result<Self, UnknownMask> {
        Self::parse(name).ok_or(UnknownMask)
    }
}

impl fmt::Display for MaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_what_its_name_says_in_every_form() {
        for kind in MaskKind::KINDS {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
            assert!(MaskKind::NAMES.contains(kind.name()));
        }
        assert_eq!("Phrase".parse::<MaskKind>(), Err(UnknownMask));
    }
}

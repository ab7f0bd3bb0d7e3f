//! Labelled texts from public data sets.
//!
//! Each set gives [`Example`]s: what is not known of a text is absent from its labels, and nothing
//! is learned from it. Texts that are only for the test are never in another part, and a text that
//! occurs twice is in one part only.

mod davidson;
mod hatecheck;
mod redditbias;
mod toxic_spans;
mod wikitext;

use std::collections::HashSet;
use std::path::Path;

use gateway_toxicity::Scores;

use crate::corpus::{Part, key};
use crate::evaluation::DataError;

pub use hatecheck::{Case, load_cases};

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Tweets: hateful, offensive or neither.
    Davidson,
    /// Comments with or without a bias against a group.
    RedditBias,
    /// Comments with a toxic part.
    ToxicSpans,
    /// Encyclopaedia sentences.
    Wikitext,
    /// Texts of our own grammar.
    Grammar,
}

impl Source {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Davidson => "davidson",
            Self::RedditBias => "redditbias",
            Self::ToxicSpans => "toxic_spans",
            Self::Wikitext => "wikitext2",
            Self::Grammar => "grammar",
        }
    }
}

/// A text and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Where it comes from.
    pub source: Source,
    /// What it is for.
    pub part: Part,
    /// The text.
    pub text: String,
    /// 1 or 0 for each category that is known.
    pub labels: Scores,
}

/// All examples of the data sets in `folder`, in a fixed order.
///
/// # Errors
/// [`DataError`] if a file is missing or malformed.
pub fn load(folder: &Path) -> Result<Vec<Example>, DataError> {
    let mut examples = davidson::load(folder)?;
    examples.extend(redditbias::load(folder)?);
    examples.extend(toxic_spans::load(folder)?);
    examples.extend(wikitext::load(folder)?);
    let mut seen = HashSet::new();
    examples.retain(|example| !example.text.is_empty() && seen.insert(key(&example.text)));
    Ok(examples)
}

//! Something that reads texts and says how likely it finds them.

mod endpoint;
mod local;

use std::ops::Range;

use model::TokenizerError;

use super::{Counted, Question, ScoreError};

pub use endpoint::{Endpoint, EndpointError};
pub use local::LocalReader;

/// How likely the counted tokens of a text are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reading {
    /// The sum of their natural-log probabilities.
    pub sum: f64,
    /// How many they are.
    pub tokens: usize,
}

impl Reading {
    /// The two numbers of an item's row.
    #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
    pub(crate) const fn numbers(self) -> [f64; 2] {
        [self.sum, self.tokens as f64]
    }
}

impl FromIterator<f64> for Reading {
    fn from_iter<I: IntoIterator<Item = f64>>(scores: I) -> Self {
        scores.into_iter().fold(Self::default(), |reading, score| Self {
            sum: reading.sum + score,
            tokens: reading.tokens + 1,
        })
    }
}

/// Why texts cannot be read. Never quotes one.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model failed.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// The endpoint failed.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No item has anything that counts.
    #[error("nothing is left to measure")]
    Empty,
}

/// A model, here or elsewhere, as a reader of texts.
pub trait Reader {
    /// For each question the readings that it asks for; `progress` is called with numbers of
    /// questions that were read.
    ///
    /// # Errors
    /// [`ReadError`] if a text cannot be read.
    fn read(
        &mut self,
        questions: &[&Question],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Reading>>, ReadError>;
}

/// The places of the tokens that count among the first `limit`; `bytes` are each token's.
fn places(counted: &Counted, text: &str, bytes: &[Range<usize>], limit: usize) -> Vec<usize> {
    let all = 1..bytes.len().min(limit);
    match counted {
        Counted::All => all.collect(),
        Counted::Within(ranges) => all.filter(|&i| overlaps(text, &bytes[i], ranges)).collect(),
    }
}

/// Whether a token, without white space in front, has a byte in one of the ranges.
fn overlaps(text: &str, token: &Range<usize>, ranges: &[Range<usize>]) -> bool {
    let own = text.get(token.clone()).map_or(0, |text| text.trim_start().len());
    let start = token.end - own;
    own > 0 && ranges.iter().any(|range| start < range.end && range.start < token.end)
}

/// Mean log-probability of reading `index` of a row that begins with readings.
pub(crate) fn mean(row: &[f64], index: usize) -> f64 {
    row[2 * index] / row[2 * index + 1]
}

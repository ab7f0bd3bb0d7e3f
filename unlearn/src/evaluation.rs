//! Tests of a language model's bias and quality.
//!
//! A test turns data into sentences, a [`Scorer`] says how likely the model finds them, and the
//! test turns that into [`Measurement`]s.

pub(crate) mod bootstrap;
mod file;
pub mod perplexity;
mod report;
mod scorer;
pub mod stereoset;

pub use bootstrap::Interval;
pub use file::{DataError, read_bytes, read_text};
pub use report::{AppliedAdapter, Measurement, Report};
pub use scorer::{DenseScorer, PackedScorer, ScoreError, Scorer, score_all};

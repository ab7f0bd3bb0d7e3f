//! Toxicity and bias scores of text, and the scorers that give them.
//!
//! A [`Scorer`] turns short texts into a probability per [`Category`]. Longer texts are cut into
//! overlapping [`Windows`] whose places depend on the text alone, and a text's score is the highest
//! of its windows'. What the trainer is judged by is what the gateway shows live: both use this.
//!
//! **Invariant:** a text has one score, however it arrives: whole or in pieces, alone or in a batch.
#![warn(missing_docs)]

mod category;
#[cfg(feature = "encoder")]
pub mod encoder;
pub mod fast;
mod scorer;
mod scores;
#[cfg(feature = "scripted")]
pub mod scripted;
mod windows;

pub use category::Category;
pub use fast::FastScorer;
pub use scorer::{ScoreError, Scorer, score_text};
pub use scores::Scores;
pub use windows::{Window, WindowShape, Windows};

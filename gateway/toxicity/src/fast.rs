//! The fast scorer: small enough to be part of the program, and made to cost next to nothing.
//!
//! Text is made plain, cut into word pieces, and read by a small convolutional network. It knows
//! English. How well it does what it does is on its card, `gateway/toxicity/model/card.json`.

mod file;
mod linear;
mod network;
mod pieces;
mod plain;

pub use file::{Calibration, FastModel, FileError, Layer};

use sha2::{Digest as _, Sha256};

use crate::{Category, ScoreError, Scorer, Scores, WindowShape};
use network::Network;
use pieces::Pieces;

/// The scorer that comes with the program.
const EMBEDDED: &[u8] = include_bytes!("../model/scorer.safetensors");

/// Changes when this code would score the same file differently.
const NAME: &str = "lethe-toxicity-1";

/// A small network over word pieces.
#[derive(Debug)]
pub struct FastScorer {
    version: String,
    categories: Vec<(Category, Calibration)>,
    thresholds: Scores,
    windows: WindowShape,
    pieces: Pieces,
    network: Network,
}

impl FastScorer {
    /// The one that is part of the program.
    ///
    /// # Errors
    /// [`FileError`] if the program was built with a file that does not pass its own checks.
    pub fn embedded() -> Result<Self, FileError> {
        Self::from_bytes(EMBEDDED)
    }

    /// Reads a file that [`FastModel::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`FileError`] says what is wrong with the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let mut version = format!("{NAME}-");
        for byte in &Sha256::digest(bytes)[..4] {
            version.push_str(&format!("{byte:02x}"));
        }
        file::read(bytes, version)
    }

    /// The ids of a text's pieces, as the network is given them.
    #[must_use]
    pub fn pieces(&self, text: &str) -> Vec<u32> {
        self.pieces.cut(&plain::plain(text))
    }

    /// A text's logit for each category that the network has a head for, before calibration.
    #[must_use]
    pub fn logits(&self, text: &str) -> Vec<(Category, f32)> {
        let logits = self.network.logits(&self.pieces(text));
        self.categories.iter().map(|&(category, _)| category).zip(logits).collect()
    }

    fn score_one(&self, text: &str) -> Scores {
        let logits = self.network.logits(&self.pieces(text));
        let heads = self.categories.iter().zip(logits);
        heads
            .map(|((category, calibration), logit)| (*category, calibration.apply(logit)))
            .collect()
    }
}

impl Scorer for FastScorer {
    fn version(&self) -> &str {
        &self.version
    }

    fn thresholds(&self) -> &Scores {
        &self.thresholds
    }

    fn windows(&self) -> WindowShape {
        self.windows
    }

    fn score(&self, texts: &[&str]) -> Result<Vec<Scores>, ScoreError> {
        Ok(texts.iter().map(|text| self.score_one(text)).collect())
    }
}

#[cfg(test)]
mod tests;

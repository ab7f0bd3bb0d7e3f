//! The run file: everything that decides what comes out, beside the data and the encoder.

use gateway_toxicity::encoder::WindowWords;
use serde::{Deserialize, Serialize};

/// A run of the heads' training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadsRun {
    /// Name and version of what comes out.
    pub name: String,
    /// Fingerprint of the encoder.
    pub encoder: String,
    /// Of the choice of the grammar's sentences.
    pub seed: u64,
    /// How longer texts are cut.
    pub windows: WindowWords,
    /// How they learn.
    pub training: TrainingRun,
}

/// How heads learn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRun {
    /// Weight of the penalty on large weights.
    pub l2: f64,
    /// Gradient steps, each on all texts.
    pub rounds: usize,
    /// Sentences of the grammar beside the data.
    pub sentences: usize,
    /// Sentences of the grammar's validation part that thresholds are chosen on, beside real texts.
    pub threshold_sentences: usize,
}

/// What is wrong with a run file.
#[derive(Debug, thiserror::Error)]
pub enum HeadsRunError {
    /// Not the TOML that is expected.
    #[error("the run file is malformed: {0}")]
    Toml(#[from] toml::de::Error),
    /// A number is out of range.
    #[error("{0} is out of range")]
    Range(&'static str),
}

impl HeadsRun {
    /// Reads and checks a run file. What becomes part of the heads is checked with them.
    ///
    /// # Errors
    /// [`HeadsRunError`] names what is wrong.
    pub fn parse(text: &str) -> Result<Self, HeadsRunError> {
        let run: Self = toml::from_str(text)?;
        let training = &run.training;
        let checks = [
            ("training.l2", training.l2.is_finite() && training.l2 >= 0.0),
            ("training.rounds", (1..=100_000).contains(&training.rounds)),
            ("training.sentences", training.sentences <= 1_000_000),
            ("training.threshold_sentences", training.threshold_sentences <= 1_000_000),
        ];
        match checks.into_iter().find(|(_, fine)| !fine) {
            Some((name, _)) => Err(HeadsRunError::Range(name)),
            None => Ok(run),
        }
    }
}

//! The run file: everything that decides what comes out, beside the data.

use std::num::NonZeroUsize;

use model::source::ModelSource;
use serde::{Deserialize, Serialize};

/// A run of the fast scorer's training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FastRun {
    /// Of every random choice.
    pub seed: u64,
    /// Where the embeddings start from.
    pub embedding: EmbeddingRun,
    /// The network.
    pub network: NetworkRun,
    /// How it learns.
    pub training: TrainingRun,
    /// How longer texts are cut.
    pub windows: WindowsRun,
}

/// A BERT encoder's vocabulary and word embeddings, reduced to their principal components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingRun {
    /// Where `model.safetensors` comes from.
    pub weights: String,
    /// Where `vocab.txt` comes from.
    pub vocabulary: String,
    /// Components kept.
    pub width: usize,
}

/// Sizes and noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRun {
    /// Channels of the convolutions.
    pub channels: usize,
    /// Share of pooled and hidden values that are dropped in training.
    pub dropout: f32,
    /// Share of pieces that are hidden in training.
    pub piece_dropout: f32,
}

/// How it learns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRun {
    /// Passes over the data; sentences of the grammar are new in each.
    pub epochs: usize,
    /// Texts in a step.
    pub batch: usize,
    /// Highest learning rate: reached after the warm-up, then falling to 0 in a line.
    pub learning_rate: f64,
    /// Steps of the warm-up.
    pub warmup: usize,
    /// AdamW's weight decay.
    pub weight_decay: f64,
    /// Longest gradient.
    pub clip: f64,
    /// Sentences of the grammar in each pass.
    pub sentences: usize,
    /// Sentences of the grammar's validation part that thresholds are chosen on, beside real texts.
    pub threshold_sentences: usize,
    /// Share of texts that are misspelled.
    pub perturbed: f32,
}

/// How longer texts are cut, in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowsRun {
    /// Words in a window.
    pub words: NonZeroUsize,
    /// Words between the ends of windows.
    pub stride: NonZeroUsize,
}

/// What is wrong with a run file.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Not the TOML that is expected.
    #[error("the run file is malformed: {0}")]
    Toml(#[from] toml::de::Error),
    /// A number is out of range.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// A source is not written as one.
    #[error("{0} is not a source")]
    Source(&'static str),
}

impl FastRun {
    /// Reads and checks a run file.
    ///
    /// # Errors
    /// [`RunError`] names what is wrong.
    pub fn parse(text: &str) -> Result<Self, RunError> {
        let run: Self = toml::from_str(text)?;
        let share = |value: f32| (0.0..1.0).contains(&value);
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let (network, training) = (&run.network, &run.training);
        let checks = [
            ("embedding.width", (1..=1024).contains(&run.embedding.width)),
            ("network.channels", (1..=4096).contains(&network.channels)),
            ("network.dropout", share(network.dropout)),
            ("network.piece_dropout", share(network.piece_dropout)),
            ("training.epochs", (1..=1000).contains(&training.epochs)),
            ("training.batch", (1..=65_536).contains(&training.batch)),
            ("training.learning_rate", positive(training.learning_rate)),
            (
                "training.weight_decay",
                training.weight_decay >= 0.0 && training.weight_decay.is_finite(),
            ),
            ("training.clip", positive(training.clip)),
            ("training.perturbed", share(training.perturbed)),
        ];
        if let Some((name, _)) = checks.into_iter().find(|(_, fine)| !fine) {
            return Err(RunError::Range(name));
        }
        run.weights_source()?;
        run.vocabulary_source()?;
        Ok(run)
    }

    /// Where the embeddings come from.
    ///
    /// # Errors
    /// [`RunError::Source`] if it is not written as a source.
    pub fn weights_source(&self) -> Result<ModelSource, RunError> {
        self.embedding.weights.parse().map_err(|_| RunError::Source("embedding.weights"))
    }

    /// Where the vocabulary comes from.
    ///
    /// # Errors
    /// [`RunError::Source`] if it is not written as a source.
    pub fn vocabulary_source(&self) -> Result<ModelSource, RunError> {
        self.embedding.vocabulary.parse().map_err(|_| RunError::Source("embedding.vocabulary"))
    }
}

//! What is known of a model without a decoder for it.

use std::path::Path;

use serde::Deserialize;

use super::CheckpointError;
use super::safetensors::{fingerprint, map_files, read_json};

/// Sizes and identity of a model in a Hugging Face folder, whatever its architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// What `config.json` calls it, such as `qwen2`.
    pub architecture: String,
    /// Rows of the embedding.
    pub vocabulary: usize,
    /// The longest sequence the model was trained for, in tokens.
    pub context_tokens: usize,
    /// `sha256:` and the digest of the weights' bytes.
    pub fingerprint: String,
}

/// What is read of `config.json`.
#[derive(Debug, Deserialize)]
struct ConfigFile {
    model_type: String,
    vocab_size: usize,
    max_position_embeddings: usize,
}

impl Outline {
    /// Reads the configuration of a folder, and all its weights once.
    ///
    /// # Errors
    /// [`CheckpointError`] if a file is missing or malformed.
    pub fn read(folder: &Path) -> Result<Self, CheckpointError> {
        let config: ConfigFile = read_json(folder, "config.json")?;
        Ok(Self {
            architecture: config.model_type,
            vocabulary: config.vocab_size,
            context_tokens: config.max_position_embeddings,
            fingerprint: fingerprint(&map_files(folder)?),
        })
    }
}

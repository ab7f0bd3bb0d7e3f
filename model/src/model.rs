//! A model on disk, opened: weights, tokenizer and chat template together.

mod folder;

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device};

use crate::checkpoint::gguf::Value;
use crate::checkpoint::{Checkpoint, CheckpointError, GgufModel, SafetensorsModel};
use crate::kernels::pool::Pool;
use crate::template::{ChatTemplate, TemplateError};
use crate::tokenizer::{Tokenizer, TokenizerError};
use crate::{DenseDecoder, PackedDecoder, ServedPrecision};

/// Why a model could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The weights or hyper-parameters.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The chat template.
    #[error("the chat template is malformed: {0}")]
    Template(#[from] TemplateError),
    /// The tokenizer has more ids than the embedding has rows.
    #[error("the tokenizer has {tokenizer} ids, the embedding {embedding}")]
    Vocabulary {
        /// Ids of the tokenizer.
        tokenizer: usize,
        /// Rows of the embedding.
        embedding: usize,
    },
}

/// An opened model.
pub struct Model {
    name: String,
    fingerprint: String,
    checkpoint: Box<dyn Checkpoint>,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
}

impl Model {
    /// Opens a GGUF file, or a Hugging Face folder with safetensors files.
    ///
    /// # Errors
    /// [`OpenError`] if something is missing, malformed or not supported.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let model = if path.is_dir() { Self::open_folder(path)? } else { Self::open_gguf(path)? };
        let (tokenizer, embedding) =
            (model.tokenizer.vocabulary(), model.checkpoint.config().vocabulary);
        if tokenizer > embedding {
            return Err(OpenError::Vocabulary { tokenizer, embedding });
        }
        Ok(model)
    }

    fn open_gguf(path: &Path) -> Result<Self, OpenError> {
        let checkpoint = GgufModel::open(path)?;
        let tokenizer = Tokenizer::from_gguf(checkpoint.metadata())?;
        let template = match checkpoint.metadata().get("tokenizer.chat_template") {
            Some(Value::Text(source)) => Some(ChatTemplate::parse(source)?),
            _ => None,
        };
        Self::new(path, Box::new(checkpoint), tokenizer, template)
    }

    fn open_folder(path: &Path) -> Result<Self, OpenError> {
        let checkpoint = SafetensorsModel::open(path)?;
        let (tokenizer, template) = folder::text(path)?;
        Self::new(path, Box::new(checkpoint), tokenizer, template)
    }

    fn new(
        path: &Path,
        checkpoint: Box<dyn Checkpoint>,
        tokenizer: Tokenizer,
        template: Option<ChatTemplate>,
    ) -> Result<Self, OpenError> {
        let fingerprint = checkpoint.fingerprint()?;
        Ok(Self { name: name(path), fingerprint, checkpoint, tokenizer, template })
    }

    /// What requests call it: the file's or folder's name in lower case, without the quantisation.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `sha256:` and the digest of the weights' bytes.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The weights as they lie on disk.
    #[must_use]
    pub fn checkpoint(&self) -> &dyn Checkpoint {
        &*self.checkpoint
    }

    /// The tokenizer.
    #[must_use]
    pub const fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The chat template.
    ///
    /// # Errors
    /// [`TemplateError::Missing`] if the model has none.
    pub fn template(&self) -> Result<&ChatTemplate, TemplateError> {
        self.template.as_ref().ok_or(TemplateError::Missing)
    }

    /// The decoder for serving on a CPU. It holds its own copy of the weights, so that the memory
    /// with which they were read is given back.
    ///
    /// # Errors
    /// [`CheckpointError`] if a weight is missing or has the wrong shape.
    pub fn packed(
        &self,
        precision: ServedPrecision,
        pool: Arc<Pool>,
    ) -> Result<PackedDecoder, CheckpointError> {
        let decoder = PackedDecoder::load(&*self.checkpoint, precision, pool);
        self.checkpoint.release();
        decoder
    }

    /// The decoder for evaluation and training.
    ///
    /// # Errors
    /// [`CheckpointError`] if a weight is missing or has the wrong shape.
    pub fn dense(&self, dtype: DType, device: &Device) -> Result<DenseDecoder, CheckpointError> {
        DenseDecoder::load(&*self.checkpoint, dtype, device)
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("name", &self.name).finish_non_exhaustive()
    }
}

/// `SmolLM2-135M-Instruct.Q4_1.gguf` is `smollm2-135m-instruct`.
fn name(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let stem = file.strip_suffix(".gguf").unwrap_or(&file);
    let quantised = |suffix: &str| {
        let mut chars = suffix.chars();
        let kind = chars.next();
        let digit = chars.next().is_some_and(|c| c.is_ascii_digit());
        matches!(kind, Some('q' | 'f')) && digit || suffix.starts_with("iq") || suffix == "bf16"
    };
    match stem.rsplit_once(['.', '-']) {
        Some((base, suffix)) if quantised(suffix) => base.to_owned(),
        _ => stem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_leave_out_the_quantisation() {
        for (file, want) in [
            ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct"),
            ("Llama-3.2-1B-Q4_K_M.gguf", "llama-3.2-1b"),
            ("tiny-llama.gguf", "tiny-llama"),
            ("Qwen2.5-0.5B", "qwen2.5-0.5b"),
        ] {
            assert_eq!(name(Path::new(file)), want);
        }
    }
}

//! A model on disk, opened: weights, tokenizer and chat template together.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device};

use crate::checkpoint::{Checkpoint, CheckpointError, GgufModel, SafetensorsModel};
use crate::kernels::pool::Pool;
use crate::template::{ChatTemplate, TemplateError};
use crate::tokenizer::{Tokenizer, TokenizerError};
use crate::{DenseDecoder, PackedDecoder, ServedPrecision, TextSide};

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
    text: Arc<TextSide>,
    fingerprint: String,
    checkpoint: Box<dyn Checkpoint>,
}

impl Model {
    /// Opens a GGUF file, or a Hugging Face folder with safetensors files.
    ///
    /// # Errors
    /// [`OpenError`] if something is missing, malformed or not supported.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let model = if path.is_dir() {
            Self::new(TextSide::open(path)?, Box::new(SafetensorsModel::open(path)?))?
        } else {
            let checkpoint = GgufModel::open(path)?;
            let text = TextSide::from_gguf(path, checkpoint.metadata())?;
            Self::new(text, Box::new(checkpoint))?
        };
        let (tokenizer, embedding) =
            (model.tokenizer().vocabulary(), model.checkpoint.config().vocabulary);
        if tokenizer > embedding {
            return Err(OpenError::Vocabulary { tokenizer, embedding });
        }
        Ok(model)
    }

    fn new(text: TextSide, checkpoint: Box<dyn Checkpoint>) -> Result<Self, OpenError> {
        let fingerprint = checkpoint.fingerprint()?;
        Ok(Self { text: Arc::new(text), fingerprint, checkpoint })
    }

    /// What requests call it: the file's or folder's name in lower case, without the quantisation.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.name()
    }

    /// Its name, tokenizer and chat template.
    #[must_use]
    pub const fn text(&self) -> &Arc<TextSide> {
        &self.text
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
    pub fn tokenizer(&self) -> &Tokenizer {
        self.text.tokenizer()
    }

    /// The chat template.
    ///
    /// # Errors
    /// [`TemplateError::Missing`] if the model has none.
    pub fn template(&self) -> Result<&ChatTemplate, TemplateError> {
        self.text.template()
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
        f.debug_struct("Model").field("name", &self.name()).finish_non_exhaustive()
    }
}

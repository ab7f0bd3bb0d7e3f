//! The model that is served, before it is loaded.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::checkpoint::{CheckpointError, Outline};
use model::{Config, Model, OpenError, TextSide};

/// A model on disk.
#[derive(Debug)]
pub struct Base {
    pub(crate) text: Arc<TextSide>,
    pub(crate) fingerprint: String,
    pub(crate) vocabulary: usize,
    pub(crate) context_tokens: usize,
    pub(crate) weights: Weights,
}

/// Where a model's weights are.
#[derive(Debug)]
pub(crate) enum Weights {
    /// Of an architecture that adapters can be merged into: in a GGUF file, or in a Hugging Face
    /// folder.
    Known { model: Arc<Model>, folder: Option<PathBuf> },
    /// Of another architecture, in a Hugging Face folder. It is served without adapters.
    Foreign { folder: PathBuf },
}

impl Base {
    /// Opens a GGUF file, or a Hugging Face folder with safetensors files. A folder may have an
    /// architecture that our own decoder lacks; mistral.rs says at the start whether it has it.
    ///
    /// # Errors
    /// [`OpenError`] if something is missing, malformed or not supported.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let folder = path.is_dir().then(|| path.to_owned());
        match (Model::open(path), folder) {
            (Ok(model), folder) => Ok(Self::known(model, folder)),
            (Err(OpenError::Checkpoint(CheckpointError::Unsupported(_))), Some(folder)) => {
                Self::foreign(folder)
            }
            (Err(error), _) => Err(error),
        }
    }

    fn known(model: Model, folder: Option<PathBuf>) -> Self {
        let config = model.checkpoint().config();
        Self {
            text: Arc::clone(model.text()),
            fingerprint: model.fingerprint().to_owned(),
            vocabulary: config.vocabulary,
            context_tokens: config.context_tokens,
            weights: Weights::Known { model: Arc::new(model), folder },
        }
    }

    fn foreign(folder: PathBuf) -> Result<Self, OpenError> {
        let text = TextSide::open(&folder)?;
        let outline = Outline::read(&folder)?;
        let (tokenizer, embedding) = (text.tokenizer().vocabulary(), outline.vocabulary);
        if tokenizer > embedding {
            return Err(OpenError::Vocabulary { tokenizer, embedding });
        }
        Ok(Self {
            text: Arc::new(text),
            fingerprint: outline.fingerprint,
            vocabulary: outline.vocabulary,
            context_tokens: outline.context_tokens,
            weights: Weights::Foreign { folder },
        })
    }

    /// What requests call it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.name()
    }

    /// Identity of the weights, `sha256:...`.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The shape that adapters must fit; none if there is no adapter that could.
    #[must_use]
    pub fn config(&self) -> Option<&Config> {
        match &self.weights {
            Weights::Known { model, .. } => Some(model.checkpoint().config()),
            Weights::Foreign { .. } => None,
        }
    }
}

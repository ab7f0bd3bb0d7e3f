//! Weights and hyper-parameters as they lie on disk, whatever the format.
//!
//! Both formats give the same thing: named dense tensors in Hugging Face's layout. GGUF files keep
//! the rows of the query and key projections permuted for interleaved rotary embeddings; they are
//! put back in order here, since adapters are trained on, and name, the unpermuted layout.

pub mod gguf;
mod gguf_model;
mod mapping;
mod outline;
mod safetensors;

use std::path::Path;

use candle_core::Tensor;

use crate::kernels::packed::PackedMatrix;
use crate::{Config, Site};

pub use gguf_model::GgufModel;
pub(crate) use mapping::map;
pub use outline::Outline;
pub use safetensors::{SafetensorsModel, weight_files};

/// Why a checkpoint could not be read. Names of tensors and keys, never paths.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused.
    #[error("{what} cannot be read: {source}")]
    Io {
        /// Which file, by its name alone.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The container is malformed or lacks something.
    #[error(transparent)]
    Gguf(#[from] gguf::GgufError),
    /// The container is malformed.
    #[error("{file} is malformed: {reason}")]
    Safetensors {
        /// Which file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A configuration file is malformed.
    #[error("{file} is malformed: {source}")]
    Json {
        /// Which file.
        file: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// An architecture or feature that the decoder lacks.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// A hyper-parameter that makes no sense.
    #[error("{what} is {value}, which cannot be")]
    Impossible {
        /// Which one.
        what: &'static str,
        /// Its value.
        value: usize,
    },
    /// A tensor is missing.
    #[error("tensor {0:?} is missing")]
    MissingTensor(String),
    /// A tensor's shape does not fit the configuration.
    #[error("tensor {name:?} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// What the configuration asks for.
        expected: Vec<usize>,
    },
    /// candle refused.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// A weight of the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Token embeddings (vocabulary, hidden).
    Embedding,
    /// The output head (vocabulary, hidden); absent where it is the embedding.
    Head,
    /// The last norm (hidden).
    FinalNorm,
    /// A layer's norm before attention (hidden).
    AttentionNorm(usize),
    /// A layer's norm before the MLP (hidden).
    MlpNorm(usize),
    /// A linear layer (outputs, inputs).
    Linear(Site),
}

impl Weight {
    /// The shape under `config`, outputs first.
    #[must_use]
    pub fn shape(self, config: &Config) -> Vec<usize> {
        match self {
            Self::Embedding | Self::Head => vec![config.vocabulary, config.hidden],
            Self::FinalNorm | Self::AttentionNorm(_) | Self::MlpNorm(_) => vec![config.hidden],
            Self::Linear(site) => {
                let (inputs, outputs) = config.shape(site.projection);
                vec![outputs, inputs]
            }
        }
    }

    /// The name in Hugging Face checkpoints.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Embedding => "model.embed_tokens.weight".into(),
            Self::Head => "lm_head.weight".into(),
            Self::FinalNorm => "model.norm.weight".into(),
            Self::AttentionNorm(layer) => format!("model.layers.{layer}.input_layernorm.weight"),
            Self::MlpNorm(layer) => {
                format!("model.layers.{layer}.post_attention_layernorm.weight")
            }
            Self::Linear(site) => format!("{}.weight", site.path()),
        }
    }
}

/// A file or folder with a decoder's weights.
pub trait Checkpoint: Send + Sync {
    /// The hyper-parameters.
    fn config(&self) -> &Config;

    /// Whether there is a [`Weight::Head`] apart from the embedding.
    fn has_head(&self) -> bool;

    /// A weight in f32 on the CPU, in Hugging Face's layout.
    ///
    /// # Errors
    /// [`CheckpointError`] if it is missing or has the wrong shape.
    fn dense(&self, weight: Weight) -> Result<Tensor, CheckpointError>;

    /// A matrix packed for the kernels without a change of its values, if its format allows.
    ///
    /// # Errors
    /// [`CheckpointError`] if it is missing or has the wrong shape.
    fn packed(&self, weight: Weight) -> Result<Option<PackedMatrix>, CheckpointError>;

    /// `sha256:` and the digest of the weights' bytes.
    ///
    /// # Errors
    /// [`CheckpointError::Io`] if a file cannot be read.
    fn fingerprint(&self) -> Result<String, CheckpointError>;

    /// Gives memory back that only sped up reading; weights can still be read.
    fn release(&self) {}
}

/// Opens a GGUF file, or a folder with `config.json` and safetensors files.
///
/// # Errors
/// [`CheckpointError`] if it is neither, or malformed.
pub fn open(path: &Path) -> Result<Box<dyn Checkpoint>, CheckpointError> {
    if path.is_dir() {
        Ok(Box::new(SafetensorsModel::open(path)?))
    } else {
        Ok(Box::new(GgufModel::open(path)?))
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> CheckpointError {
    let what = path.file_name().map_or_else(|| "the model".into(), |n| n.to_string_lossy().into());
    |source| CheckpointError::Io { what, source }
}

/// Refuses hyper-parameters that no decoder can have.
fn check(config: Config) -> Result<Config, CheckpointError> {
    let sizes = [
        ("the hidden size", config.hidden),
        ("the MLP's size", config.intermediate),
        ("the number of layers", config.layers),
        ("the number of heads", config.heads),
        ("the number of key heads", config.kv_heads),
        ("the vocabulary", config.vocabulary),
        ("the context length", config.context_tokens),
    ];
    for (what, value) in sizes {
        if value == 0 || value > 1 << 24 {
            return Err(CheckpointError::Impossible { what, value });
        }
    }
    if !config.heads.is_multiple_of(config.kv_heads) {
        return Err(CheckpointError::Impossible {
            what: "the number of key heads",
            value: config.kv_heads,
        });
    }
    if config.head_dim == 0 || !config.head_dim.is_multiple_of(16) || config.head_dim > 1024 {
        return Err(CheckpointError::Unsupported(format!(
            "a head width of {} (a multiple of 16 is needed)",
            config.head_dim
        )));
    }
    Ok(config)
}

//! Low-rank adapters, in the form that PEFT writes
//! (LoRA, <https://arxiv.org/abs/2106.09685>).
//!
//! At each of its sites an adapter adds `s * scaling * B A x` to the layer's output, where `s` is
//! the scale that a request chose and `scaling` is `alpha / r`.
//!
//! [`Lora`] holds the weights as they were read, in f32: for training, merging and writing.
//! [`PackedLora`] holds them packed for serving.

mod config;
mod packed;
mod sites;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use model::Site;

use crate::folder::{Folder, FolderError};
use crate::tensor_file::{TensorFile, TensorFileError};
use crate::{Digest, Limits};

pub use config::{PeftConfig, PeftConfigError};
pub use packed::{PackedLora, PackedLowRank};
pub use write::Element;

/// PEFT's name of the configuration.
pub const CONFIG_FILE: &str = "adapter_config.json";
/// PEFT's name of the weights.
pub const WEIGHTS_FILE: &str = "adapter_model.safetensors";

/// A low-rank adapter in f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Lora {
    /// What it adds, by site; at least one.
    pub sites: BTreeMap<Site, LowRank>,
}

/// What a low-rank adapter adds at one site: `scaling * B A`.
#[derive(Debug, Clone, PartialEq)]
pub struct LowRank {
    /// Rows of A and columns of B.
    pub rank: usize,
    /// `alpha / r`, or `alpha / sqrt(r)` with rank-stabilised scaling.
    pub scaling: f32,
    /// (rank, inputs), row-major.
    pub a: Vec<f32>,
    /// (outputs, rank), row-major.
    pub b: Vec<f32>,
}

/// Why an adapter cannot be read, packed or written.
#[derive(Debug, thiserror::Error)]
pub enum LoraError {
    /// A file cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] PeftConfigError),
    /// The weight file is refused.
    #[error(transparent)]
    Weights(#[from] TensorFileError),
    /// A key that names no site of the base model.
    #[error("tensor {0:?} belongs to no linear layer of the base model")]
    UnknownTensor(String),
    /// One half of a pair is missing.
    #[error("{site} has no lora_{missing}")]
    Unpaired {
        /// Where.
        site: Site,
        /// The half that is missing: `A` or `B`.
        missing: char,
    },
    /// The configuration targets modules that the weights do not have, or the reverse.
    #[error("target_modules and weights disagree at {0}")]
    Targets(Site),
    /// There is no tensor.
    #[error("the adapter has no weights")]
    Empty,
    /// The weights have another rank than the configuration says.
    #[error("{site} has rank {found}, but the configuration says {expected}")]
    Rank {
        /// Where.
        site: Site,
        /// Rows of A or columns of B.
        found: usize,
        /// What the configuration says.
        expected: usize,
    },
    /// The rank is above the limit.
    #[error("{site} has rank {found}, more than {limit}")]
    RankLimit {
        /// Where.
        site: Site,
        /// Its rank.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The adapter was made for a model of another shape.
    #[error("{site}: lora_{half} has width {found}, but the base model needs {expected}")]
    Shape {
        /// Where.
        site: Site,
        /// Which half: `A` or `B`.
        half: char,
        /// Columns of A or rows of B.
        found: usize,
        /// What the base model needs.
        expected: usize,
    },
    /// A value, or the product of the two factors' largest, is not finite.
    #[error("{0} has weights that are not finite or too large to be multiplied")]
    NonFinite(Site),
    /// The adapter cannot be written.
    #[error("cannot write the adapter: {0}")]
    Write(#[source] std::io::Error),
    /// The weights cannot be laid out as safetensors.
    #[error("cannot write the adapter's weights: {0}")]
    Serialise(#[source] safetensors::SafeTensorError),
}

impl Lora {
    /// Reads the PEFT folder `directory`, made for a base model of shape `base`.
    ///
    /// # Errors
    /// [`LoraError`] if anything in it is out of order.
    pub fn load(
        directory: &Path,
        base: &model::Config,
        limits: &Limits,
    ) -> Result<Self, LoraError> {
        LoraFiles::read(&Folder::open(directory)?, limits)?.parse(base, limits)
    }

    /// Reads an adapter from the bytes of its two files.
    ///
    /// # Errors
    /// [`LoraError`] if anything in them is out of order.
    pub fn parse(
        config: &[u8],
        weights: &[u8],
        base: &model::Config,
        limits: &Limits,
    ) -> Result<Self, LoraError> {
        let config = PeftConfig::parse(config)?;
        let file = TensorFile::parse(weights, limits.header_bytes)?;
        Ok(Self { sites: sites::assemble(file, &config, base, limits)? })
    }

    /// The highest rank at any site.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.sites.values().map(|low_rank| low_rank.rank).max().unwrap_or(0)
    }
}

/// The bytes of a low-rank adapter's two files.
pub(crate) struct LoraFiles {
    config: Vec<u8>,
    weights: Vec<u8>,
}

impl LoraFiles {
    pub(crate) fn read(folder: &Folder, limits: &Limits) -> Result<Self, FolderError> {
        let config = folder.read(CONFIG_FILE, limits.document_bytes)?;
        let weights = folder.read(WEIGHTS_FILE, limits.weight_bytes).map_err(|error| {
            // Pickled weights run code when they are read; say what is wrong and never read them.
            if folder.contains("adapter_model.bin") { FolderError::Pickle } else { error }
        })?;
        Ok(Self { config, weights })
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&[&self.config, &self.weights])
    }

    pub(crate) fn parse(&self, base: &model::Config, limits: &Limits) -> Result<Lora, LoraError> {
        Lora::parse(&self.config, &self.weights, base, limits)
    }
}

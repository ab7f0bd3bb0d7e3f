//! A run's state on disk: what is needed to go on, bit for bit.
//!
//! One safetensors file, replaced as a whole, so that a run that is killed at any moment finds the
//! last checkpoint or the one before it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use adapters::replace_file;
use candle_core::{Device, Tensor, safetensors};
use serde::{Deserialize, Serialize};

use super::guard::Drift;

/// The key of the file's metadata under which the progress stands.
const PROGRESS: &str = "progress";

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// Digest of run file, base weights and data.
    pub(super) identity: String,
    /// Steps taken.
    pub(super) step: usize,
    /// The last measurement inside the budgets.
    pub(super) best: Option<Best>,
    /// Measurements outside a budget since the last one inside.
    pub(super) outside: usize,
}

/// A measurement inside the budgets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// After this step.
    pub step: usize,
    /// Perplexity and KL there.
    pub drift: Drift,
}

/// A checkpoint as it was read.
pub(super) type Saved = (Progress, HashMap<String, Tensor>);

/// Why a checkpoint cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused.
    #[error("the checkpoint cannot be read or written")]
    Io(#[from] io::Error),
    /// Not a checkpoint.
    #[error("the checkpoint is damaged")]
    Damaged,
    /// It belongs to another run file, base model or data.
    #[error("the checkpoint belongs to another run")]
    OtherRun,
}

/// Writes a checkpoint.
pub(super) fn write(
    path: &Path,
    progress: &Progress,
    tensors: BTreeMap<String, Tensor>,
) -> Result<(), CheckpointError> {
    let progress = serde_json::to_string(progress).map_err(|_| CheckpointError::Damaged)?;
    let metadata = HashMap::from([(PROGRESS.to_owned(), progress)]);
    let bytes = ::safetensors::serialize(tensors, Some(metadata));
    replace_file(path, &bytes.map_err(|_| CheckpointError::Damaged)?)?;
    Ok(())
}

/// Reads a checkpoint; nothing if there is none.
pub(super) fn read(
    path: &Path,
    identity: &str,
    device: &Device,
) -> Result<Option<Saved>, CheckpointError> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let (_, metadata) =
        ::safetensors::SafeTensors::read_metadata(&bytes).map_err(|_| CheckpointError::Damaged)?;
    let progress = metadata.metadata().as_ref().and_then(|entries| entries.get(PROGRESS));
    let progress: Progress = progress
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or(CheckpointError::Damaged)?;
    if progress.identity != identity {
        return Err(CheckpointError::OtherRun);
    }
    let tensors = safetensors::load_buffer(&bytes, device).map_err(|_| CheckpointError::Damaged)?;
    Ok(Some((progress, tensors)))
}

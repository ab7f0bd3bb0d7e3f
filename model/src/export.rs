//! A model written as a Hugging Face folder, for servers that know nothing of adapters.
//!
//! Weights are written in f32, a decoder layer to a file, so that no more than one layer is in
//! memory. `config.json` comes last: a folder that has it is complete.

mod config;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::checkpoint::{Checkpoint, CheckpointError, Weight};
use crate::{Model, Projection, Site, TokenizerError};

/// Why a model cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The folder exists already.
    #[error("the folder exists already")]
    Exists,
    /// A file cannot be written.
    #[error("{file} cannot be written: {source}")]
    Write {
        /// The file's name.
        file: String,
        /// The reason.
        source: io::Error,
    },
    /// A weight cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Weights cannot be written.
    #[error("weights cannot be written: {0}")]
    Weights(#[from] candle_core::Error),
    /// The tokenizer cannot be written.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// Writes `weights` with the text side of `model` as the new folder `out`; `progress` is called
/// after each of [`files`].
///
/// # Errors
/// [`ExportError`] if the folder exists, or something cannot be read or written; what was written
/// until then has no `config.json`.
pub fn write_folder(
    model: &Model,
    weights: &dyn Checkpoint,
    out: &Path,
    progress: &mut dyn FnMut(),
) -> Result<(), ExportError> {
    if out.exists() {
        return Err(ExportError::Exists);
    }
    std::fs::create_dir(out)
        .map_err(|source| ExportError::Write { file: "the folder".into(), source })?;
    write_weights(weights, out, progress)?;
    model.tokenizer().save(&out.join("tokenizer.json"))?;
    write_json(out, "tokenizer_config.json", &config::tokenizer(model))?;
    write_json(out, "generation_config.json", &config::generation(model))?;
    write_json(out, "config.json", &config::model(weights))
}

/// Number of weight files that a model is written as.
#[must_use]
pub fn files(weights: &dyn Checkpoint) -> usize {
    weights.config().layers + 1
}

fn write_weights(
    weights: &dyn Checkpoint,
    out: &Path,
    progress: &mut dyn FnMut(),
) -> Result<(), ExportError> {
    let count = files(weights);
    let (mut places, mut bytes) = (BTreeMap::new(), 0);
    for part in 0..count {
        let file = format!("model-{:05}-of-{count:05}.safetensors", part + 1);
        let mut tensors = HashMap::new();
        for weight in part_of(weights, part) {
            let tensor = weights.dense(weight)?;
            bytes += tensor.elem_count() * size_of::<f32>();
            places.insert(weight.name(), file.clone());
            tensors.insert(weight.name(), tensor);
        }
        candle_core::safetensors::save(&tensors, out.join(&file))?;
        progress();
    }
    let index = json!({"metadata": {"total_size": bytes}, "weight_map": places});
    write_json(out, "model.safetensors.index.json", &index)
}

/// The weights of a file: those around the layers, then each layer's.
fn part_of(weights: &dyn Checkpoint, part: usize) -> Vec<Weight> {
    let Some(layer) = part.checked_sub(1) else {
        let head = weights.has_head().then_some(Weight::Head);
        return [Weight::Embedding, Weight::FinalNorm].into_iter().chain(head).collect();
    };
    let linears = Projection::ALL.map(|projection| Weight::Linear(Site::new(layer, projection)));
    let norms = [Weight::AttentionNorm(layer), Weight::MlpNorm(layer)];
    norms.into_iter().chain(linears).collect()
}

fn write_json(out: &Path, file: &str, value: &Value) -> Result<(), ExportError> {
    std::fs::write(out.join(file), format!("{value:#}\n"))
        .map_err(|source| ExportError::Write { file: file.to_owned(), source })
}

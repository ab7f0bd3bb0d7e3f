//! A Llama-family decoder in a Hugging Face folder: `config.json` and safetensors files.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use memmap2::Mmap;
use safetensors::SafeTensors;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Checkpoint, CheckpointError, Weight, check, io, mapping};
use crate::kernels::packed::PackedMatrix;
use crate::{Config, hex};

/// A folder of mapped safetensors files.
pub struct SafetensorsModel {
    config: Config,
    tied: bool,
    /// In the order of their names.
    files: Vec<(String, Mmap)>,
    /// Which file has a tensor.
    places: HashMap<String, usize>,
}

/// What is read of `config.json`.
#[derive(Debug, Deserialize)]
struct ConfigFile {
    model_type: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_parameters: Option<RopeFile>,
    rope_scaling: Option<RopeFile>,
    hidden_act: Option<String>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    sliding_window: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct RopeFile {
    #[serde(alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct IndexFile {
    weight_map: HashMap<String, String>,
}

impl SafetensorsModel {
    /// Maps and reads a folder.
    ///
    /// # Errors
    /// [`CheckpointError`] if something is missing, malformed or not of the Llama family.
    pub fn open(folder: &Path) -> Result<Self, CheckpointError> {
        let file: ConfigFile = read_json(folder, "config.json")?;
        let tied = file.tie_word_embeddings;
        let config = config(file)?;
        let files = map_files(folder)?;
        let mut places = HashMap::new();
        for (index, (name, map)) in files.iter().enumerate() {
            for tensor in header(name, map)?.names() {
                places.insert(tensor.to_owned(), index);
            }
        }
        Ok(Self { config, tied, files, places })
    }
}

impl Checkpoint for SafetensorsModel {
    fn config(&self) -> &Config {
        &self.config
    }

    fn has_head(&self) -> bool {
        !self.tied
    }

    fn dense(&self, weight: Weight) -> Result<Tensor, CheckpointError> {
        let name = weight.name();
        let missing = || CheckpointError::MissingTensor(name.clone());
        let (file, map) = &self.files[*self.places.get(&name).ok_or_else(missing)?];
        let view = header(file, map)?.tensor(&name).map_err(|_| missing())?;
        let expected = weight.shape(&self.config);
        if view.shape() != expected {
            return Err(CheckpointError::Shape { name, found: view.shape().to_vec(), expected });
        }
        let dtype = dtype(view.dtype())?;
        let tensor = Tensor::from_raw_buffer(view.data(), dtype, &expected, &Device::Cpu)?;
        Ok(tensor.to_dtype(DType::F32)?)
    }

    fn packed(&self, _: Weight) -> Result<Option<PackedMatrix>, CheckpointError> {
        Ok(None)
    }

    fn release(&self) {
        self.files.iter().for_each(|(_, map)| mapping::release(map));
    }

    fn fingerprint(&self) -> Result<String, CheckpointError> {
        Ok(fingerprint(&self.files))
    }
}

/// The identity of weight files.
pub(super) fn fingerprint(files: &[(String, Mmap)]) -> String {
    let mut digest = Sha256::new();
    if let [(_, only)] = files {
        digest.update(only);
    } else {
        for (name, map) in files {
            digest.update((name.len() as u64).to_le_bytes());
            digest.update(name);
            digest.update((map.len() as u64).to_le_bytes());
            digest.update(map);
        }
    }
    format!("sha256:{}", hex::lower(&digest.finalize()))
}

/// The weight files of a folder with their names, in their order.
pub(super) fn map_files(folder: &Path) -> Result<Vec<(String, Mmap)>, CheckpointError> {
    let map = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, mapping::map(&path)?))
    };
    weight_files(folder)?.into_iter().map(map).collect()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "one message for all that are not supported")]
fn dtype(dtype: safetensors::Dtype) -> Result<DType, CheckpointError> {
    match dtype {
        safetensors::Dtype::F32 => Ok(DType::F32),
        safetensors::Dtype::F16 => Ok(DType::F16),
        safetensors::Dtype::BF16 => Ok(DType::BF16),
        other => Err(CheckpointError::Unsupported(format!("a tensor of type {other:?}"))),
    }
}

fn header<'a>(file: &str, map: &'a Mmap) -> Result<SafeTensors<'a>, CheckpointError> {
    SafeTensors::deserialize(map).map_err(|error| CheckpointError::Safetensors {
        file: file.to_owned(),
        reason: error.to_string(),
    })
}

pub(super) fn read_json<T: serde::de::DeserializeOwned>(
    folder: &Path,
    file: &'static str,
) -> Result<T, CheckpointError> {
    let path = folder.join(file);
    let bytes = std::fs::read(&path).map_err(io(&path))?;
    serde_json::from_slice(&bytes).map_err(|source| CheckpointError::Json { file, source })
}

/// The weight files of a Hugging Face folder: the shards that its index names, or the only file.
///
/// # Errors
/// [`CheckpointError`] if the index is malformed or names a file outside the folder.
pub fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    if !folder.join("model.safetensors.index.json").exists() {
        return Ok(vec![folder.join("model.safetensors")]);
    }
    let index: IndexFile = read_json(folder, "model.safetensors.index.json")?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    names
        .into_iter()
        .map(|name| match Path::new(&name).components().collect::<Vec<_>>()[..] {
            [std::path::Component::Normal(_)] => Ok(folder.join(name)),
            _ => Err(CheckpointError::Unsupported("a shard outside the folder".into())),
        })
        .collect()
}

fn config(file: ConfigFile) -> Result<Config, CheckpointError> {
    let unsupported = |what: &str| Err(CheckpointError::Unsupported(what.into()));
    if !matches!(file.model_type.as_str(), "llama" | "mistral") {
        return unsupported(&format!("architecture {:?}", file.model_type));
    }
    if file.attention_bias || file.mlp_bias {
        return unsupported("a bias in the projections");
    }
    if file.hidden_act.as_deref().is_some_and(|act| act != "silu") {
        return unsupported("an activation other than silu");
    }
    if file.sliding_window.is_some_and(|window| window < file.max_position_embeddings) {
        return unsupported("a sliding window");
    }
    let ropes = [&file.rope_parameters, &file.rope_scaling];
    if ropes.into_iter().flatten().any(|r| r.rope_type.as_deref().is_some_and(|t| t != "default")) {
        return unsupported("scaled rope");
    }
    let theta = file.rope_parameters.and_then(|r| r.rope_theta).or(file.rope_theta);
    check(Config {
        hidden: file.hidden_size,
        intermediate: file.intermediate_size,
        layers: file.num_hidden_layers,
        heads: file.num_attention_heads,
        kv_heads: file.num_key_value_heads.unwrap_or(file.num_attention_heads),
        head_dim: file.head_dim.unwrap_or(file.hidden_size / file.num_attention_heads.max(1)),
        vocabulary: file.vocab_size,
        context_tokens: file.max_position_embeddings,
        rope_theta: theta.unwrap_or(10_000.0),
        norm_epsilon: file.rms_norm_eps,
    })
}

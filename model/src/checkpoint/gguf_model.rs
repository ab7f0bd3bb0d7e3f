//! A Llama-family decoder in a GGUF file.

use std::path::Path;

use candle_core::quantized::{GgmlDType, ggml_file};
use candle_core::{Device, Tensor};
use half::f16;
use memmap2::Mmap;
use sha2::{Digest, Sha256};

use super::gguf::{Gguf, GgufError, TensorInfo, Value};
use super::{Checkpoint, CheckpointError, Weight, check, mapping};
use crate::kernels::packed::{Block, GROUP, PackedMatrix, Precision};
use crate::{Config, Projection, hex};

/// A mapped GGUF file.
pub struct GgufModel {
    file: Mmap,
    gguf: Gguf,
    config: Config,
}

impl GgufModel {
    /// Maps and reads a file.
    ///
    /// # Errors
    /// [`CheckpointError`] if it is malformed or not of the Llama family.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let file = mapping::map(path)?;
        let gguf = Gguf::parse(&file)?;
        let config = config(&gguf)?;
        Ok(Self { file, gguf, config })
    }

    /// The metadata.
    #[must_use]
    pub const fn metadata(&self) -> &Gguf {
        &self.gguf
    }

    fn tensor(&self, weight: Weight) -> Result<(&TensorInfo, &[u8]), CheckpointError> {
        let name = name(weight);
        let info = self.gguf.tensor(&name).ok_or_else(|| GgufError::MissingTensor(name.clone()))?;
        let expected = weight.shape(&self.config);
        if info.shape != expected {
            return Err(CheckpointError::Shape { name, found: info.shape.clone(), expected });
        }
        Ok((info, &self.file[info.bytes.clone()]))
    }

    /// The row of the file that holds output `row` of `weight`.
    fn file_row(&self, weight: Weight, row: usize) -> usize {
        let Weight::Linear(site) = weight else { return row };
        match site.projection {
            Projection::Query | Projection::Key => interleaved(row, self.config.head_dim),
            Projection::Value
            | Projection::Output
            | Projection::Gate
            | Projection::Up
            | Projection::Down => row,
        }
    }
}

/// Where llama.cpp puts a row of a query or key projection: the halves of each head, interleaved.
const fn interleaved(row: usize, head_dim: usize) -> usize {
    let (head, at, half) = (row / head_dim, row % head_dim, head_dim / 2);
    head * head_dim + 2 * (at % half) + at / half
}

impl Checkpoint for GgufModel {
    fn config(&self) -> &Config {
        &self.config
    }

    fn has_head(&self) -> bool {
        self.gguf.tensor(&name(Weight::Head)).is_some()
    }

    fn dense(&self, weight: Weight) -> Result<Tensor, CheckpointError> {
        let (info, bytes) = self.tensor(weight)?;
        // The header's check leaves tensors aligned to at least 8 bytes, enough for every block.
        let tensor =
            ggml_file::qtensor_from_ggml(info.dtype, bytes, info.shape.clone(), &Device::Cpu)?
                .dequantize(&Device::Cpu)?;
        let rows = info.shape[0];
        if (0..rows.min(self.config.head_dim)).all(|r| self.file_row(weight, r) == r) {
            return Ok(tensor);
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked to be below 2^24 at load")]
        let order: Vec<u32> = (0..rows).map(|r| self.file_row(weight, r) as u32).collect();
        Ok(tensor.index_select(&Tensor::new(order, &Device::Cpu)?, 0)?)
    }

    fn packed(&self, weight: Weight) -> Result<Option<PackedMatrix>, CheckpointError> {
        let (info, bytes) = self.tensor(weight)?;
        let (precision, decode): (_, fn(&[u8]) -> Block) = match info.dtype {
            GgmlDType::Q4_0 => (Precision::Int4, q4_0),
            GgmlDType::Q4_1 => (Precision::Int4Affine, q4_1),
            GgmlDType::Q8_0 => (Precision::Int8, q8_0),
            GgmlDType::F32
            | GgmlDType::F16
            | GgmlDType::BF16
            | GgmlDType::Q5_0
            | GgmlDType::Q5_1
            | GgmlDType::Q8_1
            | GgmlDType::Q2K
            | GgmlDType::Q3K
            | GgmlDType::Q4K
            | GgmlDType::Q5K
            | GgmlDType::Q6K
            | GgmlDType::Q8K => return Ok(None),
        };
        let [outputs, inputs] = info.shape[..] else { return Ok(None) };
        let (size, groups) = (info.dtype.type_size(), inputs / GROUP);
        Ok(Some(PackedMatrix::from_blocks(precision, (outputs, inputs), |output, group| {
            let at = self.file_row(weight, output) * groups + group;
            decode(&bytes[at * size..][..size])
        })))
    }

    fn release(&self) {
        mapping::release(&self.file);
    }

    fn fingerprint(&self) -> Result<String, CheckpointError> {
        Ok(format!("sha256:{}", hex::lower(&Sha256::digest(&self.file))))
    }
}

fn half(bytes: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Sixteen bytes: the low halves are the first sixteen values, the high halves the rest.
fn nibbles(bytes: &[u8]) -> [u8; GROUP] {
    std::array::from_fn(|i| if i < 16 { bytes[i] & 0x0f } else { bytes[i - 16] >> 4 })
}

fn q4_0(bytes: &[u8]) -> Block {
    Block { scale: half(bytes, 0), minimum: f16::ZERO, quants: nibbles(&bytes[2..]) }
}

fn q4_1(bytes: &[u8]) -> Block {
    Block { scale: half(bytes, 0), minimum: half(bytes, 2), quants: nibbles(&bytes[4..]) }
}

/// The stored bytes are signed; ours are above 128 what they are above 0.
fn q8_0(bytes: &[u8]) -> Block {
    let quants = std::array::from_fn(|i| bytes[2 + i] ^ 0x80);
    Block { scale: half(bytes, 0), minimum: f16::ZERO, quants }
}

/// The name of a weight in llama.cpp's naming.
fn name(weight: Weight) -> String {
    match weight {
        Weight::Embedding => "token_embd.weight".into(),
        Weight::Head => "output.weight".into(),
        Weight::FinalNorm => "output_norm.weight".into(),
        Weight::AttentionNorm(layer) => format!("blk.{layer}.attn_norm.weight"),
        Weight::MlpNorm(layer) => format!("blk.{layer}.ffn_norm.weight"),
        Weight::Linear(site) => {
            format!("blk.{}.{}.weight", site.layer, site.projection.gguf_name())
        }
    }
}

fn config(gguf: &Gguf) -> Result<Config, CheckpointError> {
    let architecture = gguf.text("general.architecture")?;
    if architecture != "llama" {
        return Err(CheckpointError::Unsupported(format!("architecture {architecture:?}")));
    }
    let key = |name: &str| format!("llama.{name}");
    for (feature, what) in
        [("expert_count", "a mixture of experts"), ("rope.scaling.type", "scaled rope")]
    {
        match gguf.get(&key(feature)) {
            None | Some(Value::Unsigned(0)) => {}
            Some(Value::Text(kind)) if kind == "none" => {}
            Some(_) => return Err(CheckpointError::Unsupported(what.into())),
        }
    }
    if gguf.tensor("rope_freqs.weight").is_some() {
        return Err(CheckpointError::Unsupported("scaled rope".into()));
    }
    if gguf.tensor("blk.0.attn_q.bias").is_some() {
        return Err(CheckpointError::Unsupported("a bias in the projections".into()));
    }
    let heads = gguf.size(&key("attention.head_count"))?;
    let hidden = gguf.size(&key("embedding_length"))?;
    let optional = |name: &str, default: usize| match gguf.get(&key(name)) {
        None => Ok(default),
        Some(_) => gguf.size(&key(name)),
    };
    let head_dim = optional("attention.key_length", hidden / heads.max(1))?;
    if optional("rope.dimension_count", head_dim)? != head_dim {
        return Err(CheckpointError::Unsupported("rope over a part of a head".into()));
    }
    let vocabulary = gguf.tensor("token_embd.weight").map(|t| t.shape[0]);
    check(Config {
        hidden,
        intermediate: gguf.size(&key("feed_forward_length"))?,
        layers: gguf.size(&key("block_count"))?,
        heads,
        kv_heads: optional("attention.head_count_kv", heads)?,
        head_dim,
        vocabulary: vocabulary
            .ok_or_else(|| GgufError::MissingTensor("token_embd.weight".into()))?,
        context_tokens: gguf.size(&key("context_length"))?,
        rope_theta: match gguf.get(&key("rope.freq_base")) {
            None => 10_000.0,
            Some(_) => gguf.float(&key("rope.freq_base"))?,
        },
        norm_epsilon: gguf.float(&key("attention.layer_norm_rms_epsilon"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaving_is_llama_cpps_permutation() {
        // numpy: arange(8).reshape(1, 2, 4).swapaxes(1, 2).reshape(8) = [0 4 1 5 2 6 3 7] is where
        // the file's rows come from; row r of the model is at the position that holds r.
        let file = [0, 4, 1, 5, 2, 6, 3, 7];
        for (position, row) in file.into_iter().enumerate() {
            assert_eq!(interleaved(row, 8), position);
            assert_eq!(interleaved(8 + row, 8), 8 + position);
        }
    }
}

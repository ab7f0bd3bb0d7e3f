//! candle-transformers' quantised Llama.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;

/// The peer with the model in Q8_0.
pub(crate) struct Peer {
    weights: ModelWeights,
}

impl Peer {
    /// Rounds the model to Q8_0 and loads that.
    pub(crate) fn load(path: &Path, scratch: &Path) -> anyhow::Result<Self> {
        let rounded = scratch.join("q8_0.gguf");
        round(path, &rounded)?;
        let mut file = File::open(rounded)?;
        let content = gguf_file::Content::read(&mut file)?;
        Ok(Self { weights: ModelWeights::from_gguf(content, &mut file, &Device::Cpu)? })
    }

    /// Generates greedily after the prompt; tokens a second of the generation alone.
    pub(crate) fn decode(&mut self, prompt: &[u32], tokens: usize) -> anyhow::Result<f64> {
        let mut next = self.forward(prompt, 0)?;
        let start = Instant::now();
        for i in 0..tokens {
            next = self.forward(&[next], prompt.len() + i)?;
        }
        Ok(tokens as f64 / start.elapsed().as_secs_f64())
    }

    fn forward(&mut self, tokens: &[u32], position: usize) -> anyhow::Result<u32> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = self.weights.forward(&input, position)?.squeeze(0)?;
        Ok(logits.argmax(0)?.to_scalar::<u32>()?)
    }
}

/// Writes the model with its matrices in Q8_0.
fn round(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut file = File::open(from)?;
    let content = gguf_file::Content::read(&mut file)?;
    let mut tensors = Vec::new();
    for name in content.tensor_infos.keys() {
        let tensor = content.tensor(&mut file, name, &Device::Cpu)?;
        let rounded = match tensor.shape().rank() {
            2 => QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)?,
            _ => tensor,
        };
        tensors.push((name.as_str(), rounded));
    }
    let metadata: Vec<_> = content.metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    gguf_file::write(&mut File::create(to)?, &metadata, &tensors)?;
    Ok(())
}

//! How a sentence encoder makes one vector of its hidden states, as sentence-transformers
//! writes it: `modules.json`, and the pooling module's own `config.json`.

use std::collections::BTreeMap;

use candle_core::Tensor;
use serde::Deserialize;
use serde_json::Value;

use super::EncoderError;
use super::folder::{Folder, TEXT_BYTES, parse_json};

/// What is done with the hidden states of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pooling {
    over: Over,
    /// Whether the vector is divided by its length.
    normalised: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    FirstToken,
    MeanOfTokens,
}

/// An entry of `modules.json`.
#[derive(Debug, Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Pooling {
    /// Reads the modules. Anything but transformer, pooling and normalisation is refused.
    pub(super) fn load(folder: &mut Folder, width: usize) -> Result<Self, EncoderError> {
        let modules: Vec<Module> = folder.read_json("modules.json")?;
        let kinds: Vec<&str> = modules.iter().map(|m| kind(&m.kind)).collect();
        let normalised = match kinds[..] {
            ["Transformer", "Pooling"] => false,
            ["Transformer", "Pooling", "Normalize"] => true,
            _ => return Err(unsupported("modules", &kinds.join(", "))),
        };
        if !modules[0].path.is_empty() {
            return Err(unsupported("a transformer in the folder", &modules[0].path));
        }
        let path = &modules[1].path;
        if !path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(unsupported("a pooling module in the folder", path));
        }
        let bytes = folder.read(&format!("{path}/config.json"), TEXT_BYTES)?;
        Ok(Self { over: Over::parse(&bytes, width)?, normalised })
    }

    /// The vector of hidden states (T, hidden).
    pub(super) fn apply(self, hidden: &Tensor) -> Result<Vec<f32>, EncoderError> {
        let pooled = match self.over {
            Over::FirstToken => hidden.get(0)?,
            Over::MeanOfTokens => hidden.mean(0)?,
        };
        let mut vector = pooled.to_vec1::<f32>()?;
        if self.normalised {
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
            vector.iter_mut().for_each(|x| *x /= length);
        }
        if vector.iter().all(|x| x.is_finite()) { Ok(vector) } else { Err(EncoderError::Overflow) }
    }
}

impl Over {
    fn parse(bytes: &[u8], width: usize) -> Result<Self, EncoderError> {
        let fields: BTreeMap<String, Value> =
            parse_json("the pooling module's config.json", bytes)?;
        let dimension = fields.get("word_embedding_dimension").and_then(Value::as_u64);
        if dimension != Some(width as u64) {
            return Err(unsupported(
                "pooling of another word_embedding_dimension than",
                &width.to_string(),
            ));
        }
        let modes = fields.iter().filter(|(_, value)| **value == Value::Bool(true));
        let modes: Vec<&str> =
            modes.filter_map(|(name, _)| name.strip_prefix("pooling_mode_")).collect();
        match modes[..] {
            ["cls_token"] => Ok(Self::FirstToken),
            ["mean_tokens"] => Ok(Self::MeanOfTokens),
            _ => Err(unsupported("pooling over", &modes.join(" and "))),
        }
    }
}

/// The last part of a module's type: the rest of its path differs between releases.
fn kind(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn unsupported(what: &str, which: &str) -> EncoderError {
    EncoderError::Unsupported(format!("{what} {which:?}"))
}

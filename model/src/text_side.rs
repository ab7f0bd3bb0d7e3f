//! The text side of a model on disk: its name, tokenizer and chat template, whatever its weights.

mod folder;

use std::path::Path;

use crate::OpenError;
use crate::checkpoint::gguf::{Gguf, Value};
use crate::checkpoint::{self, CheckpointError};
use crate::template::{ChatTemplate, TemplateError};
use crate::tokenizer::Tokenizer;

/// What turns conversations into tokens and tokens into text.
///
/// It can be had from models whose architecture the decoder lacks.
#[derive(Debug)]
pub struct TextSide {
    name: String,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
}

impl TextSide {
    /// Reads the text side of a GGUF file, or of a Hugging Face folder.
    ///
    /// # Errors
    /// [`OpenError`] if something is missing, malformed or not supported.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if path.is_dir() {
            let (tokenizer, template) = folder::text(path)?;
            return Ok(Self { name: name(path), tokenizer, template });
        }
        let file = checkpoint::map(path)?;
        Self::from_gguf(path, &Gguf::parse(&file).map_err(CheckpointError::from)?)
    }

    /// Reads what the metadata of the GGUF file at `path` say.
    pub(crate) fn from_gguf(path: &Path, metadata: &Gguf) -> Result<Self, OpenError> {
        let tokenizer = Tokenizer::from_gguf(metadata)?;
        let template = match metadata.get("tokenizer.chat_template") {
            Some(Value::Text(source)) => Some(ChatTemplate::parse(source)?),
            _ => None,
        };
        Ok(Self { name: name(path), tokenizer, template })
    }

    /// What requests call the model: the file's or folder's name in lower case, without the
    /// quantisation.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tokenizer.
    #[must_use]
    pub const fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The chat template.
    ///
    /// # Errors
    /// [`TemplateError::Missing`] if the model has none.
    pub fn template(&self) -> Result<&ChatTemplate, TemplateError> {
        self.template.as_ref().ok_or(TemplateError::Missing)
    }
}

/// `SmolLM2-135M-Instruct.Q4_1.gguf` is `smollm2-135m-instruct`.
fn name(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let stem = file.strip_suffix(".gguf").unwrap_or(&file);
    let quantised = |suffix: &str| {
        let mut chars = suffix.chars();
        let kind = chars.next();
        let digit = chars.next().is_some_and(|c| c.is_ascii_digit());
        matches!(kind, Some('q' | 'f')) && digit || suffix.starts_with("iq") || suffix == "bf16"
    };
    match stem.rsplit_once(['.', '-']) {
        Some((base, suffix)) if quantised(suffix) => base.to_owned(),
        _ => stem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_leave_out_the_quantisation() {
        for (file, want) in [
            ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct"),
            ("Llama-3.2-1B-Q4_K_M.gguf", "llama-3.2-1b"),
            ("tiny-llama.gguf", "tiny-llama"),
            ("Qwen2.5-0.5B", "qwen2.5-0.5b"),
        ] {
            assert_eq!(name(Path::new(file)), want);
        }
    }
}

//! The text side of a Hugging Face folder.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::OpenError;
use crate::checkpoint::CheckpointError;
use crate::template::ChatTemplate;
use crate::tokenizer::{Edges, Tokenizer, TokenizerError};

/// What is read of `tokenizer_config.json`.
#[derive(Debug, Default, Deserialize)]
struct TokenizerConfig {
    chat_template: Option<Templates>,
    bos_token: Option<Token>,
    eos_token: Option<Token>,
    #[serde(default)]
    add_bos_token: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Debug, Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Added { content: String },
}

/// What is read of `generation_config.json`.
#[derive(Debug, Default, Deserialize)]
struct GenerationConfig {
    eos_token_id: Option<Ids>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Many(Vec<u32>),
}

/// The tokenizer and chat template of a folder.
pub(super) fn text(folder: &Path) -> Result<(Tokenizer, Option<ChatTemplate>), OpenError> {
    let config: TokenizerConfig = optional_json(folder, "tokenizer_config.json")?;
    let generation: GenerationConfig = optional_json(folder, "generation_config.json")?;
    let file = folder.join("tokenizer.json");
    let names = Tokenizer::from_file(&file, Edges::default())?;
    let id = |token: Option<Token>| -> Result<Option<u32>, TokenizerError> {
        let Some(Token::Text(text) | Token::Added { content: text }) = token else {
            return Ok(None);
        };
        let known = names.control().iter().find(|(_, control)| *control == text);
        known.map(|(id, _)| Some(*id)).ok_or(TokenizerError::UnknownControl(text))
    };
    let mut eos = match generation.eos_token_id {
        Some(Ids::One(id)) => vec![id],
        Some(Ids::Many(ids)) => ids,
        None => Vec::new(),
    };
    eos.extend(id(config.eos_token)?);
    eos.sort_unstable();
    eos.dedup();
    let edges = Edges { bos: id(config.bos_token)?, add_bos: config.add_bos_token, eos };
    let template = match template(folder, config.chat_template)? {
        Some(source) => Some(ChatTemplate::parse(&source)?),
        None => None,
    };
    Ok((Tokenizer::from_file(&file, edges)?, template))
}

/// The template beside the configuration, else the one in it; of several, the default.
fn template(folder: &Path, config: Option<Templates>) -> Result<Option<String>, OpenError> {
    let file = folder.join("chat_template.jinja");
    if file.exists() {
        let what = "chat_template.jinja".to_owned();
        return match std::fs::read_to_string(&file) {
            Ok(source) => Ok(Some(source)),
            Err(source) => Err(CheckpointError::Io { what, source }.into()),
        };
    }
    Ok(match config {
        None => None,
        Some(Templates::One(source)) => Some(source),
        Some(Templates::Named(all)) => {
            all.into_iter().find(|t| t.name == "default").map(|t| t.template)
        }
    })
}

/// A file that may be absent.
fn optional_json<T: DeserializeOwned + Default>(
    folder: &Path,
    file: &'static str,
) -> Result<T, CheckpointError> {
    match std::fs::read(folder.join(file)) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|source| CheckpointError::Json { file, source })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(T::default()),
        Err(source) => Err(CheckpointError::Io { what: file.to_owned(), source }),
    }
}

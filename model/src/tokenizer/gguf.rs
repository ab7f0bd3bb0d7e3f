//! The tokenizer in a GGUF file's metadata.

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

use super::Edges;
use crate::checkpoint::gguf::{Gguf, GgufError, Value};

/// Why the metadata give no tokenizer.
#[derive(Debug, thiserror::Error)]
pub enum GgufTokenizerError {
    /// A key is missing or of another type.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A kind of tokenizer that is not supported.
    #[error("tokenizer {what} {name:?} is not supported")]
    Unsupported {
        /// Model or pre-tokenizer.
        what: &'static str,
        /// Its name in the file.
        name: String,
    },
    /// Tokens, types and merges do not fit together.
    #[error("the tokenizer's {0} are malformed")]
    Malformed(&'static str),
    /// The `tokenizers` crate refused.
    #[error("the tokenizer failed: {0}")]
    Inner(#[from] tokenizers::Error),
}

/// llama.cpp's number for control tokens.
const CONTROL: u64 = 3;
/// llama.cpp's number for tokens that are never split but are text.
const USER_DEFINED: u64 = 4;

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

pub(super) fn build(gguf: &Gguf) -> Result<(Tokenizer, Edges), GgufTokenizerError> {
    let model = gguf.text("tokenizer.ggml.model")?;
    if model != "gpt2" {
        return Err(GgufTokenizerError::Unsupported { what: "model", name: model.into() });
    }
    let tokens = texts(gguf, "tokenizer.ggml.tokens")?;
    // A vocabulary of single bytes has no merges, and its file no such key.
    let merges = match gguf.get("tokenizer.ggml.merges") {
        None => Vec::new(),
        Some(_) => texts(gguf, "tokenizer.ggml.merges")?,
    };
    let merges = merges
        .into_iter()
        .map(|merge| merge.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())))
        .collect::<Option<Vec<_>>>()
        .ok_or(GgufTokenizerError::Malformed("merges"))?;
    let vocabulary = tokens.iter().enumerate().map(|(id, t)| Ok((t.clone(), index(id)?)));
    let vocabulary: Result<Vec<_>, GgufTokenizerError> = vocabulary.collect();
    let bpe = BPE::builder()
        .vocab_and_merges(vocabulary?.into_iter().collect::<Vocab>(), merges)
        .build()?;
    let mut tokenizer = Tokenizer::new(bpe);
    tokenizer.with_pre_tokenizer(Some(pre_tokenizer(gguf)?));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    add_tokens(&mut tokenizer, gguf, &tokens)?;
    Ok((tokenizer, edges(gguf, tokens.len())?))
}

fn add_tokens(
    tokenizer: &mut Tokenizer,
    gguf: &Gguf,
    tokens: &[String],
) -> Result<(), GgufTokenizerError> {
    let types = gguf.array("tokenizer.ggml.token_type")?;
    if types.len() != tokens.len() {
        return Err(GgufTokenizerError::Malformed("token types"));
    }
    let of = |kind: u64| {
        let chosen = tokens.iter().zip(types).filter(move |(_, t)| **t == Value::Unsigned(kind));
        chosen.map(|(token, _)| token.clone())
    };
    let control: Vec<_> = of(CONTROL).map(|t| AddedToken::from(t, true)).collect();
    let user: Vec<_> = of(USER_DEFINED).map(|t| AddedToken::from(t, false)).collect();
    tokenizer.add_special_tokens(control)?;
    tokenizer.add_tokens(user)?;
    Ok(())
}

/// The pre-tokenizer that `tokenizer.ggml.pre` names.
fn pre_tokenizer(gguf: &Gguf) -> Result<PreTokenizerWrapper, GgufTokenizerError> {
    let split = |pattern: &str| -> Result<PreTokenizerWrapper, GgufTokenizerError> {
        let split = Split::new(
            SplitPattern::Regex(pattern.to_owned()),
            SplitDelimiterBehavior::Isolated,
            false,
        )?;
        let bytes = ByteLevel::new(false, true, false);
        Ok(Sequence::new(vec![split.into(), bytes.into()]).into())
    };
    let gpt2 = ByteLevel::new(false, true, true);
    match gguf.text("tokenizer.ggml.pre")? {
        "smollm" => Ok(Sequence::new(vec![Digits::new(true).into(), gpt2.into()]).into()),
        "gpt-2" => Ok(gpt2.into()),
        "llama-bpe" => split(LLAMA3),
        "qwen2" => split(QWEN2),
        name => Err(GgufTokenizerError::Unsupported { what: "pre-tokenizer", name: name.into() }),
    }
}

fn edges(gguf: &Gguf, vocabulary: usize) -> Result<Edges, GgufTokenizerError> {
    let id = |key: &str| -> Result<Option<u32>, GgufTokenizerError> {
        match gguf.get(key) {
            None => Ok(None),
            Some(_) => {
                let id = gguf.size(key)?;
                let known = (id < vocabulary).then_some(id);
                known
                    .map(index)
                    .transpose()?
                    .map_or(Err(GgufTokenizerError::Malformed("edges")), |id| Ok(Some(id)))
            }
        }
    };
    let mut eos: Vec<u32> =
        [id("tokenizer.ggml.eos_token_id")?, id("tokenizer.ggml.eot_token_id")?]
            .into_iter()
            .flatten()
            .collect();
    eos.sort_unstable();
    eos.dedup();
    let add_bos = match gguf.get("tokenizer.ggml.add_bos_token") {
        Some(Value::Bool(add)) => *add,
        None => false,
        Some(_) => return Err(GgufTokenizerError::Malformed("edges")),
    };
    Ok(Edges { bos: id("tokenizer.ggml.bos_token_id")?, add_bos, eos })
}

fn texts(gguf: &Gguf, key: &'static str) -> Result<Vec<String>, GgufTokenizerError> {
    let text = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        Value::Unsigned(_)
        | Value::Negative(_)
        | Value::Float(_)
        | Value::Bool(_)
        | Value::Array(_) => None,
    };
    let texts: Option<_> = gguf.array(key)?.iter().map(text).collect();
    texts.ok_or_else(|| GgufError::KeyType(key.into()).into())
}

fn index(id: usize) -> Result<u32, GgufTokenizerError> {
    u32::try_from(id).map_err(|_| GgufTokenizerError::Malformed("tokens"))
}

//! Texts to tokens.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use tokenizers::Tokenizer;

use super::EncoderError;
use super::config::{Config, Family, SHORTEST, within};
use super::folder::{Folder, TEXT_BYTES, parse_json};

/// A tokenizer that never pads, never drops the end of a text, and never makes a control token of
/// what a user typed.
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    /// The control tokens around a text.
    before: Vec<u32>,
    after: Vec<u32>,
    /// The most tokens of a text between them.
    room: usize,
}

/// What is read of `tokenizer_config.json`.
#[derive(Debug, Deserialize)]
struct TokenizerFile {
    #[serde(default = "lower_case")]
    do_lower_case: bool,
}

const fn lower_case() -> bool {
    true
}

/// What is read of `sentence_bert_config.json`.
#[derive(Debug, Deserialize)]
struct LengthFile {
    max_seq_length: Option<usize>,
}

impl Tokens {
    /// Reads `tokenizer.json`, or `vocab.txt` if there is none.
    pub(super) fn load(folder: &mut Folder, config: &Config) -> Result<Self, EncoderError> {
        let mut tokenizer = match folder.read_if_there("tokenizer.json", TEXT_BYTES)? {
            Some(bytes) => Tokenizer::from_bytes(&bytes).map_err(malformed)?,
            None => word_piece(folder, config.family)?,
        };
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(malformed)?;
        tokenizer.set_encode_special_tokens(true);
        let highest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
        if highest as usize >= config.vocabulary {
            let vocabulary = config.vocabulary;
            return Err(EncoderError::Vocabulary { token: highest, vocabulary });
        }
        let (before, after) = control_tokens(&tokenizer)?;
        let room = longest(folder, config)?.saturating_sub(before.len() + after.len());
        if room == 0 {
            return Err(EncoderError::Unsupported("control tokens that leave no room".into()));
        }
        Ok(Self { tokenizer, before, after, room })
    }

    /// A text's tokens with the control tokens around them, in pieces that the encoder can take:
    /// at least one, and more only if the text is longer than the longest sequence.
    pub(super) fn pieces(&self, text: &str) -> Result<Vec<Vec<u32>>, EncoderError> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|_| EncoderError::Text)?;
        let piece = |tokens: &[u32]| [&self.before, tokens, &self.after].concat();
        Ok(match encoding.get_ids() {
            [] if self.before.is_empty() && self.after.is_empty() => {
                return Err(EncoderError::Text);
            }
            [] => vec![piece(&[])],
            tokens => tokens.chunks(self.room).map(piece).collect(),
        })
    }
}

/// The control tokens that the tokenizer puts before and after a text.
fn control_tokens(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>), EncoderError> {
    let example = tokenizer.encode("a", true).map_err(malformed)?;
    let is_control = |&(_, &mask): &(&u32, &u32)| mask == 1;
    let tokens = || example.get_ids().iter().zip(example.get_special_tokens_mask());
    let before: Vec<u32> = tokens().take_while(is_control).map(|(&id, _)| id).collect();
    let mut after: Vec<u32> = tokens().rev().take_while(is_control).map(|(&id, _)| id).collect();
    after.reverse();
    if before.len() + after.len() >= example.len() {
        return Err(malformed("a text has no tokens"));
    }
    Ok((before, after))
}

/// The longest sequence: what the positions allow, or less if the folder says so.
fn longest(folder: &mut Folder, config: &Config) -> Result<usize, EncoderError> {
    let file = "sentence_bert_config.json";
    let Some(bytes) = folder.read_if_there(file, TEXT_BYTES)? else {
        return Ok(config.longest());
    };
    let LengthFile { max_seq_length } = parse_json(file, &bytes)?;
    let longest = max_seq_length.unwrap_or_else(|| config.longest());
    within("max_seq_length", longest, SHORTEST..=config.longest())?;
    Ok(longest)
}

/// BERT's tokenizer from the list of its words.
fn word_piece(folder: &mut Folder, family: Family) -> Result<Tokenizer, EncoderError> {
    if family == Family::Roberta {
        return Err(EncoderError::Unsupported("a RoBERTa tokenizer without tokenizer.json".into()));
    }
    let file = "tokenizer_config.json";
    let lower = match folder.read_if_there(file, TEXT_BYTES)? {
        Some(bytes) => parse_json::<TokenizerFile>(file, &bytes)?.do_lower_case,
        None => lower_case(),
    };
    let words = folder.read("vocab.txt", TEXT_BYTES)?;
    let words = String::from_utf8(words).map_err(malformed)?;
    let vocabulary: BTreeMap<&str, u32> = words.lines().zip(0..).collect();
    let control = |name: &str| {
        let missing = || EncoderError::Tokenizer(format!("vocab.txt has no {name}"));
        Ok::<_, EncoderError>(json!([name, vocabulary.get(name).ok_or_else(missing)?]))
    };
    control("[UNK]")?;
    let described = json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": true,
            "strip_accents": null,
            "lowercase": lower,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": control("[SEP]")?, "cls": control("[CLS]")?},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    });
    Tokenizer::from_bytes(described.to_string()).map_err(malformed)
}

fn malformed(error: impl std::fmt::Display) -> EncoderError {
    EncoderError::Tokenizer(error.to_string())
}

//! Text to token ids and back.
//!
//! The `tokenizers` crate does the work; this module builds it from either kind of checkpoint and
//! keeps one rule of its own: text that a user typed never becomes a control token.

mod byte_level;
mod gguf;

use std::ops::Range;
use std::path::Path;

use tokenizers::Tokenizer as Inner;

use crate::checkpoint::gguf::Gguf;

pub(crate) use gguf::GgufTokenizerError;

/// Why a tokenizer could not be built or used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The GGUF metadata lack something or ask for what is not supported.
    #[error(transparent)]
    Gguf(#[from] GgufTokenizerError),
    /// The `tokenizers` crate refused.
    #[error("the tokenizer failed: {0}")]
    Inner(#[from] tokenizers::Error),
    /// A control token of the configuration is not in the vocabulary.
    #[error("control token {0:?} is not in the vocabulary")]
    UnknownControl(String),
}

/// Whether text can spell control tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// `<|im_end|>` in the text is plain text.
    AsText,
    /// `<|im_end|>` in the text is the control token.
    Parse,
}

/// A model's tokenizer.
#[derive(Debug)]
pub struct Tokenizer {
    parsing: Inner,
    plain: Inner,
    /// The bytes each id stands for.
    bytes: Vec<Vec<u8>>,
    /// Ids of control tokens, sorted, with their texts.
    control: Vec<(u32, String)>,
    bos: Option<u32>,
    add_bos: bool,
    eos: Vec<u32>,
}

/// Which ids begin and end texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Edges {
    pub(crate) bos: Option<u32>,
    pub(crate) add_bos: bool,
    pub(crate) eos: Vec<u32>,
}

impl Tokenizer {
    /// Builds the tokenizer that a GGUF file's metadata describe.
    ///
    /// # Errors
    /// [`TokenizerError`] if they lack something or ask for what is not supported.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, TokenizerError> {
        let (inner, edges) = gguf::build(gguf)?;
        Self::new(inner, edges)
    }

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError::Inner`] if it cannot be read.
    pub(crate) fn from_file(path: &Path, edges: Edges) -> Result<Self, TokenizerError> {
        Self::new(Inner::from_file(path)?, edges)
    }

    fn new(mut inner: Inner, edges: Edges) -> Result<Self, TokenizerError> {
        // Truncation or padding that a training set-up left behind has no place here.
        inner.with_truncation(None)?;
        inner.with_padding(None);
        let mut control: Vec<(u32, String)> = inner
            .get_added_tokens_decoder()
            .into_iter()
            .filter(|(_, token)| token.special)
            .map(|(id, token)| (id, token.content))
            .collect();
        control.sort_unstable();
        let bytes = byte_level::table(&inner);
        let mut plain = inner.clone();
        plain.set_encode_special_tokens(true);
        let Edges { bos, add_bos, eos } = edges;
        Ok(Self { parsing: inner, plain, bytes, control, bos, add_bos, eos })
    }

    /// The ids of `text`, nothing added.
    ///
    /// # Errors
    /// [`TokenizerError::Inner`] if the tokenizer fails.
    pub fn encode(&self, text: &str, control: Control) -> Result<Vec<u32>, TokenizerError> {
        Ok(self.inner(control).encode_fast(text, false)?.get_ids().to_vec())
    }

    /// The ids of `text`, nothing added, each with the bytes of `text` that it stands for. A token
    /// that is a part of a character has the whole character's bytes; white space at either end of
    /// a token may or may not be among its bytes, as the tokenizer's file has it.
    ///
    /// # Errors
    /// [`TokenizerError::Inner`] if the tokenizer fails.
    pub fn encode_with_offsets(
        &self,
        text: &str,
        control: Control,
    ) -> Result<Vec<(u32, Range<usize>)>, TokenizerError> {
        let encoding = self.inner(control).encode(text, false)?;
        let bytes = encoding.get_offsets().iter().map(|&(start, end)| start..end);
        Ok(encoding.get_ids().iter().copied().zip(bytes).collect())
    }

    const fn inner(&self, control: Control) -> &Inner {
        match control {
            Control::AsText => &self.plain,
            Control::Parse => &self.parsing,
        }
    }

    /// The bytes that a token stands for; `None` beyond the vocabulary.
    #[must_use]
    pub fn bytes(&self, token: u32) -> Option<&[u8]> {
        self.bytes.get(token as usize).map(Vec::as_slice)
    }

    /// The text of `tokens`, control tokens spelled out; unfinished characters become U+FFFD.
    #[must_use]
    pub fn decode(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> =
            tokens.iter().filter_map(|t| self.bytes(*t)).flatten().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Writes it as a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError::Inner`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TokenizerError> {
        Ok(self.parsing.save(path, false)?)
    }

    /// Number of ids.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a token is a control token.
    #[must_use]
    pub fn is_control(&self, token: u32) -> bool {
        self.control.binary_search_by_key(&token, |(id, _)| *id).is_ok()
    }

    /// Control tokens with their texts, by id.
    #[must_use]
    pub fn control(&self) -> &[(u32, String)] {
        &self.control
    }

    /// The token that begins a text, if the model has one.
    #[must_use]
    pub const fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The token to put before a plain prompt, if the model wants one.
    #[must_use]
    pub fn prompt_start(&self) -> Option<u32> {
        self.bos.filter(|_| self.add_bos)
    }

    /// The tokens that end a text.
    #[must_use]
    pub fn eos(&self) -> &[u32] {
        &self.eos
    }
}

//! What classifiers and sentence encoders share: tokens in, hidden states out.

use std::path::Path;

use candle_core::Tensor;

use super::EncoderError;
use super::body::Body;
use super::config::{Config, ConfigFile};
use super::folder::{Folder, WEIGHT_BYTES};
use super::tokens::Tokens;
use super::weights::Weights;

/// Tokenizer and transformer of a folder.
pub(super) struct Backbone {
    tokens: Tokens,
    body: Body,
    fingerprint: String,
}

impl Backbone {
    /// Reads a folder; `rest` takes what else is needed of it.
    pub(super) fn open<T>(
        path: &Path,
        rest: impl FnOnce(&mut Folder, &ConfigFile, &Config, &Weights<'_>) -> Result<T, EncoderError>,
    ) -> Result<(Self, T), EncoderError> {
        let mut folder = Folder::new(path);
        let file: ConfigFile = folder.read_json("config.json")?;
        let config = file.check()?;
        let tokens = Tokens::load(&mut folder, &config)?;
        let bytes = folder.read("model.safetensors", WEIGHT_BYTES)?;
        let weights = Weights::parse(&bytes)?;
        let body = Body::load(&config, &weights)?;
        let rest = rest(&mut folder, &file, &config, &weights)?;
        Ok((Self { tokens, body, fingerprint: folder.fingerprint() }, rest))
    }

    /// Identity of all files that were read.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Hidden states (T, hidden) of each piece of a text; it has more than one only if it is
    /// longer than the longest sequence.
    pub(super) fn hidden(&self, text: &str) -> Result<Vec<Tensor>, EncoderError> {
        let pieces = self.tokens.pieces(text)?;
        pieces.iter().map(|piece| Ok(self.body.forward(piece)?)).collect()
    }
}

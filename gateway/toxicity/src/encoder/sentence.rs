//! Sentence encoders, and the scorer that puts our heads on one.

use std::path::Path;

use super::EncoderError;
use super::backbone::Backbone;
use super::folder::short;
use super::heads::Heads;
use super::pooling::Pooling;
use crate::{ScoreError, Scorer, Scores, WindowShape};

/// A BERT-family sentence encoder: a text becomes a vector.
pub struct Encoder {
    backbone: Backbone,
    pooling: Pooling,
    width: usize,
}

impl Encoder {
    /// Reads a folder as sentence-transformers writes it.
    ///
    /// # Errors
    /// [`EncoderError`] if something is missing, malformed or not supported.
    pub fn open(folder: &Path) -> Result<Self, EncoderError> {
        let (backbone, (pooling, width)) = Backbone::open(folder, |folder, _, config, _| {
            Ok((Pooling::load(folder, config.hidden)?, config.hidden))
        })?;
        Ok(Self { backbone, pooling, width })
    }

    /// Numbers in a vector.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Identity of the files, such as `sha256:...`.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        self.backbone.fingerprint()
    }

    /// The vector of each text, in their order; of a text that is longer than the encoder takes,
    /// that of its beginning. A vector never depends on the other texts.
    ///
    /// # Errors
    /// [`EncoderError`] if a text cannot be encoded.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let first = |text: &&str| self.pieces(text)?.into_iter().next().ok_or(EncoderError::Text);
        texts.iter().map(first).collect()
    }

    /// The vectors of a text's pieces.
    fn pieces(&self, text: &str) -> Result<Vec<Vec<f32>>, EncoderError> {
        let hidden = self.backbone.hidden(text)?;
        hidden.iter().map(|hidden| self.pooling.apply(hidden)).collect()
    }
}

/// Scores by our heads on a sentence encoder.
pub struct SentenceScorer {
    encoder: Encoder,
    heads: Heads,
    thresholds: Scores,
    version: String,
}

impl SentenceScorer {
    /// Reads an encoder, and the heads that were trained on it. They may lie in one folder.
    ///
    /// # Errors
    /// [`EncoderError`] if one is missing or malformed, or they do not belong together.
    pub fn open(encoder: &Path, heads: &Path) -> Result<Self, EncoderError> {
        Self::new(Encoder::open(encoder)?, Heads::load(heads)?)
    }

    /// Puts heads on an encoder.
    ///
    /// # Errors
    /// [`EncoderError::OtherEncoder`] if they were trained on another one.
    pub fn new(encoder: Encoder, heads: Heads) -> Result<Self, EncoderError> {
        let (trained, found) = (heads.encoder().to_owned(), encoder.fingerprint().to_owned());
        if trained != found || heads.width() != encoder.width() {
            return Err(EncoderError::OtherEncoder { trained, found });
        }
        let digest = heads.fingerprint();
        let version = format!("{}-{}-{}", heads.name(), short(&digest), short(&found));
        Ok(Self { thresholds: heads.thresholds(), encoder, heads, version })
    }

    fn score_one(&self, text: &str) -> Result<Scores, EncoderError> {
        let vectors = self.encoder.pieces(text)?;
        let scores = vectors.iter().map(|vector| self.heads.scores(vector));
        Ok(scores.fold(Scores::default(), |highest, scores| highest.max(&scores)))
    }
}

impl Scorer for SentenceScorer {
    fn version(&self) -> &str {
        &self.version
    }

    fn thresholds(&self) -> &Scores {
        &self.thresholds
    }

    fn windows(&self) -> WindowShape {
        self.heads.windows()
    }

    fn score(&self, texts: &[&str]) -> Result<Vec<Scores>, ScoreError> {
        let scores = texts.iter().map(|text| self.score_one(text));
        scores.collect::<Result<_, _>>().map_err(|error| ScoreError(error.to_string()))
    }
}

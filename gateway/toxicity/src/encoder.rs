//! Scorers on BERT-family encoders: a slower and stronger second opinion.
//!
//! A local folder as Hugging Face writes it (`config.json`, `tokenizer.json` or `vocab.txt`,
//! `model.safetensors`) with a sequence classifier whose labels we know is a scorer. BERT, RoBERTa
//! and DistilBERT are computed in f32 on the CPU.
//!
//! **Invariant:** texts are computed one at a time, so a score never depends on its company, and
//! whatever would change the numbers and is not computed here is refused by name.

mod backbone;
mod body;
mod classifier;
mod config;
mod error;
mod folder;
mod labels;
mod layers;
mod tokens;
mod weights;

use std::num::NonZeroUsize;

pub use classifier::ClassifierScorer;
pub use error::EncoderError;

use crate::WindowShape;

/// How texts are cut for a model that does not say: about as long as what encoders are trained on.
const DEFAULT_WINDOWS: WindowShape = match (NonZeroUsize::new(48), NonZeroUsize::new(16)) {
    (Some(words), Some(stride)) => WindowShape::new(words, stride),
    _ => unreachable!(),
};

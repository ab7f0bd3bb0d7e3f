//! Scorers on BERT-family encoders: a slower and stronger second opinion.
//!
//! A local folder as Hugging Face writes it (`config.json`, `tokenizer.json` or `vocab.txt`,
//! `model.safetensors`) is either a sequence classifier whose labels we know
//! ([`ClassifierScorer`]), or a sentence encoder ([`Encoder`]) with [`Heads`] that we trained on
//! its vectors ([`SentenceScorer`]). BERT, RoBERTa and DistilBERT are computed in f32 on the CPU.
//!
//! **Invariant:** texts are computed one at a time, so a score never depends on its company, and
//! whatever would change the numbers and is not computed here is refused by name.

mod backbone;
mod body;
mod classifier;
mod config;
mod error;
mod folder;
mod heads;
mod labels;
mod layers;
mod pooling;
mod sentence;
mod tokens;
mod weights;

use std::num::NonZeroUsize;
use std::path::Path;

pub use classifier::ClassifierScorer;
pub use error::EncoderError;
pub use heads::{CategoryHead, Description, Group, Heads, HeadsError, Layer, WindowWords};
pub use sentence::{Encoder, SentenceScorer};

use crate::{Scorer, WindowShape};

/// How texts are cut for a model that does not say: about as long as what encoders are trained on.
const DEFAULT_WINDOWS: WindowShape = match (NonZeroUsize::new(48), NonZeroUsize::new(16)) {
    (Some(words), Some(stride)) => WindowShape::new(words, stride),
    _ => unreachable!(),
};

/// Opens whichever scorer a folder holds: a sequence classifier, or a sentence encoder with
/// `heads.json` and `heads.safetensors` beside it.
///
/// # Errors
/// [`EncoderError`] if it is neither, or malformed.
pub fn open_scorer(folder: &Path) -> Result<Box<dyn Scorer>, EncoderError> {
    let file: config::ConfigFile = folder::Folder::new(folder).read_json("config.json")?;
    if file.architectures.iter().flatten().any(|name| name.ends_with("ForSequenceClassification")) {
        return Ok(Box::new(ClassifierScorer::open(folder)?));
    }
    Ok(Box::new(SentenceScorer::open(folder, folder)?))
}

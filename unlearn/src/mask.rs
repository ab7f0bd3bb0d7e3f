//! Which tokens of a text a loss is about.
//!
//! A mask is on targets: token `i` is masked if its likelihood, given the tokens before it, is to
//! change. The first token is never masked, for nothing precedes it.

mod alignment;
mod assisted;
mod blamed;
mod display;
mod distinctive;
mod group;
mod kind;
mod lexicon;
mod masker;
mod pair;
mod phrase;
mod random;
mod whole;

use std::ops::Range;

use model::{Control, Tokenizer, TokenizerError};

use crate::evaluation::ScoreError;

pub use alignment::Aligned;
pub use assisted::assisted;
pub use blamed::blamed;
pub use display::{Legibility, shown};
pub use distinctive::distinctive;
pub use group::group;
pub use kind::{MaskKind, UnknownMask};
pub use lexicon::{Lexicon, lexicon};
pub use masker::Masker;
pub use pair::{Pair, Pairing};
pub use phrase::phrase;
pub use random::random;
pub use whole::whole;

/// Why a mask cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MaskError {
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model that assists failed.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// The toxicity scorer that is built in cannot be read.
    #[error(transparent)]
    Scorer(#[from] gateway_toxicity::fast::FileError),
    /// It failed.
    #[error(transparent)]
    Toxicity(#[from] gateway_toxicity::ScoreError),
    /// There is no lexicon to look words up in.
    #[error("a lexicon mask needs a lexicon")]
    NoLexicon,
}

/// A text's tokens, and which of them are targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// Of each token whether it is a target; the first never is.
    pub mask: Vec<bool>,
}

impl Masked {
    /// How many tokens are targets.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.mask.iter().filter(|is_target| **is_target).count()
    }
}

/// Two texts with the same beginning, of which one is to be said rather than the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The text that is preferred; what follows the beginning is masked, here and there.
    pub preferred: Masked,
    /// The other.
    pub other: Masked,
}

/// The tokens of a text that a user could have typed, each with the bytes that it stands for
/// without white space in front: of a token that is white space alone, none.
fn tokens(tokenizer: &Tokenizer, text: &str) -> Result<Vec<(u32, Range<usize>)>, TokenizerError> {
    let mut tokens = tokenizer.encode_with_offsets(text, Control::AsText)?;
    for (_, bytes) in &mut tokens {
        bytes.start = bytes.end - text[bytes.clone()].trim_start().len();
    }
    Ok(tokens)
}

/// Whether two ranges of bytes have one in common.
fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start.max(other.start) < one.end.min(other.end)
}

//! The part of a text that annotators marked.

use model::{Tokenizer, TokenizerError};

use super::{Masked, overlap, tokens};
use crate::corpus::Text;

/// The first `max_tokens` tokens of a text, masked where they overlap a harmful part. White space in
/// front of a token is no part of it: the space before a phrase does not mask the word before.
///
/// # Errors
/// [`TokenizerError`] if the tokenizer fails.
pub fn phrase(
    tokenizer: &Tokenizer,
    text: &Text,
    max_tokens: usize,
) -> Result<Masked, TokenizerError> {
    let mut tokens = tokens(tokenizer, &text.text)?;
    tokens.truncate(max_tokens);
    let is_target = |(index, (_, bytes)): (usize, &(u32, std::ops::Range<usize>))| {
        index > 0 && text.harmful.iter().any(|harmful| overlap(bytes, harmful))
    };
    let mask = tokens.iter().enumerate().map(is_target).collect();
    Ok(Masked { tokens: tokens.into_iter().map(|(id, _)| id).collect(), mask })
}

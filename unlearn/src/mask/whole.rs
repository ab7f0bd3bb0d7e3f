//! A control: every token. Shows what masking buys.

use model::{Control, Tokenizer};

use super::{MaskError, Masked};

/// The first `max_tokens` tokens of a text, all masked but the first.
///
/// # Errors
/// [`MaskError::Tokenizer`] if the tokenizer fails.
pub fn whole(tokenizer: &Tokenizer, text: &str, max_tokens: usize) -> Result<Masked, MaskError> {
    let mut tokens = tokenizer.encode(text, Control::AsText)?;
    tokens.truncate(max_tokens);
    let mask = (0..tokens.len()).map(|index| index > 0).collect();
    Ok(Masked { tokens, mask })
}

//! A mask as a person sees it.

use model::Tokenizer;

use super::Masked;

/// Whether a harmful text is legible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legibility {
    /// Letters and digits become `x`.
    Blurred,
    /// As it is.
    Plain,
}

/// The tokens with bars between them and brackets around runs of targets: `It|[ is| so]|.`
#[must_use]
pub fn shown(tokenizer: &Tokenizer, masked: &Masked, legibility: Legibility) -> String {
    let mut shown = String::new();
    let mut is_inside = false;
    for (index, (token, is_target)) in masked.tokens.iter().zip(&masked.mask).enumerate() {
        if is_inside && !is_target {
            shown.push(']');
        }
        if index > 0 {
            shown.push('|');
        }
        if *is_target && !is_inside {
            shown.push('[');
        }
        is_inside = *is_target;
        let text = tokenizer.decode(&[*token]);
        match legibility {
            Legibility::Blurred => shown.extend(text.chars().map(blurred)),
            Legibility::Plain => shown.push_str(&text),
        }
    }
    if is_inside {
        shown.push(']');
    }
    shown
}

fn blurred(character: char) -> char {
    match character {
        c if c.is_ascii_punctuation() || c == ' ' => c,
        c if c.is_whitespace() => ' ',
        _ => 'x',
    }
}

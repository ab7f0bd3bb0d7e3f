//! The words that name a group, after the first of them: what agreement is about. Whoever is spoken
//! of, "my brother" is followed by "his".

use super::{Masked, Pair};

/// The tokens of a pair's text, masked where they are words that the swap exchanged.
#[must_use]
pub fn group(pair: Pair) -> Masked {
    let mut mask = vec![false; pair.tokens.len()];
    for aligned in pair.aligned.iter().filter(|aligned| aligned.is_group) {
        mask[aligned.original] = true;
    }
    Masked { tokens: pair.tokens, mask }
}

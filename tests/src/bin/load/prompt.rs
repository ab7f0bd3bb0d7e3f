//! Prompts that no cache has seen.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Ordinary tokens of any vocabulary of the Llama family.
const TOKENS: Range<u32> = 1_000..30_000;
/// The seed of what all prompts share.
const SHARED: u64 = u64::MAX;

/// Token ids: the first `shared` are the same in every prompt, the rest in none.
pub(crate) fn prompt(length: usize, shared: usize, seed: u64) -> Vec<u32> {
    let mut tokens = draw(shared.min(length), SHARED);
    tokens.extend(draw(length - tokens.len(), seed));
    tokens
}

fn draw(count: usize, seed: u64) -> Vec<u32> {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| TOKENS.start + chance.next_u32() % (TOKENS.end - TOKENS.start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_share_what_they_should_and_nothing_else() {
        let (one, two) = (prompt(40, 8, 1), prompt(40, 8, 2));
        assert_eq!((one.len(), &one), (40, &prompt(40, 8, 1)));
        assert_eq!(one[..8], two[..8]);
        assert_ne!(one[8], two[8]);
        assert!(one.iter().all(|token| TOKENS.contains(token)));
    }
}

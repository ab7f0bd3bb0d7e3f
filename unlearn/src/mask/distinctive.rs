//! The tokens of a harmful phrase that harmless text about the same people does not use.
//!
//! A phrase has words that carry the harm and words that any sentence has. Pushing down all of them
//! makes ordinary sentences about the group unlikely too; these are the first kind, by their
//! log-odds between the two kinds of text (after Monroe et al., "Fightin' Words", 2008).

use std::collections::HashMap;

use super::Masked;

/// How many times likelier in harmful phrases a token is at least.
const LEAST_RATIO: f64 = 2.0;
/// Added to every count, so that a token that was seen once is no certainty.
const PRIOR: f64 = 0.5;

/// Leaves of the targets of `harmful` those that are distinctive beside the targets of `harmless`.
#[must_use]
pub fn distinctive(harmful: &[Masked], harmless: &[Masked]) -> Vec<Masked> {
    let (in_harm, elsewhere) = (Counts::of(harmful), Counts::of(harmless));
    let is_distinctive = |token: u32| in_harm.share(token) >= LEAST_RATIO * elsewhere.share(token);
    let masked = |masked: &Masked| {
        let targets = masked.tokens.iter().zip(&masked.mask);
        let mask = targets.map(|(token, is_target)| *is_target && is_distinctive(*token));
        Masked { tokens: masked.tokens.clone(), mask: mask.collect() }
    };
    harmful.iter().map(masked).collect()
}

/// How often each token is a target.
struct Counts {
    tokens: HashMap<u32, f64>,
    total: f64,
}

impl Counts {
    fn of(texts: &[Masked]) -> Self {
        let mut tokens = HashMap::new();
        let mut total = 0.0;
        let targets = texts.iter().flat_map(|text| text.tokens.iter().zip(&text.mask));
        for (token, _) in targets.filter(|(_, is_target)| **is_target) {
            *tokens.entry(*token).or_insert(0.0) += 1.0;
            total += 1.0;
        }
        Self { tokens, total }
    }

    /// A token's smoothed share of all targets.
    fn share(&self, token: u32) -> f64 {
        (self.tokens.get(&token).unwrap_or(&0.0) + PRIOR) / (self.total + PRIOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(tokens: &[u32]) -> Masked {
        let mask = (0..tokens.len()).map(|at| at > 0).collect();
        Masked { tokens: tokens.to_vec(), mask }
    }

    #[test]
    fn words_that_any_sentence_has_are_left_out() {
        // 7 and 8 stand in harmful phrases alone, 1 to 3 everywhere.
        let harmful = [whole(&[9, 1, 2, 7, 3]), whole(&[9, 2, 1, 8, 7])];
        let harmless = [whole(&[9, 1, 2, 3, 1]), whole(&[9, 3, 2, 1, 2])];
        let masks: Vec<_> = distinctive(&harmful, &harmless).into_iter().map(|m| m.mask).collect();
        assert_eq!(masks, [[false, false, false, true, false], [false, false, false, true, true]]);
    }
}

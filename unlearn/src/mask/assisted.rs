//! What the model itself holds against the group.

use super::{MaskError, Masked, Pair};
use crate::evaluation::{Scorer, score_all};

/// Masks the harmful tokens of each pair whose log-probability rises by at least `least_rise` nats
/// when the group is named and not the other.
///
/// # Errors
/// [`MaskError::Score`] if the model fails.
pub fn assisted(
    pairs: &[Pair],
    scorer: &mut dyn Scorer,
    least_rise: f64,
) -> Result<Vec<Masked>, MaskError> {
    let texts = pairs.iter().flat_map(|pair| [pair.tokens.clone(), pair.swapped.clone()]);
    let scores = score_all(scorer, &texts.collect::<Vec<_>>(), &mut |_| ())?;
    let masked = |(pair, scores): (&Pair, &[Vec<f64>])| {
        let mut mask = vec![false; pair.tokens.len()];
        let harmful = pair.aligned.iter().filter(|aligned| pair.mask[aligned.original]);
        for aligned in harmful.filter(|aligned| !aligned.is_group) {
            // The first score is that of the second token.
            let named = scores[0][aligned.original - 1];
            mask[aligned.original] = named - scores[1][aligned.swapped - 1] >= least_rise;
        }
        Masked { tokens: pair.tokens.clone(), mask }
    };
    Ok(pairs.iter().zip(scores.chunks_exact(2)).map(masked).collect())
}

#[cfg(test)]
mod tests {
    use model::ModelError;

    use super::*;
    use crate::mask::Aligned;

    /// Finds a token as likely as its id says.
    struct Ids;

    impl Scorer for Ids {
        fn context_tokens(&self) -> usize {
            100
        }

        fn score(&mut self, sequences: &[&[u32]]) -> Result<Vec<Vec<f64>>, ModelError> {
            let score = |id: &u32| -f64::from(*id) / 10.0;
            Ok(sequences.iter().map(|tokens| tokens[1..].iter().map(score).collect()).collect())
        }
    }

    #[test]
    fn only_harmful_tokens_that_rise_enough_are_masked() {
        let at = |original, swapped, is_group| Aligned { original, swapped, is_group };
        let pair = Pair {
            tokens: vec![9, 4, 4, 4, 4, 1],
            swapped: vec![9, 9, 9, 6, 5, 9, 9],
            mask: vec![false, true, true, true, false, true],
            // Rises of 0.5 (of a group's word), 0.2, 0.1, 0.5 (harmless) and 0.8.
            aligned: vec![
                at(1, 2, true),
                at(2, 3, false),
                at(3, 4, false),
                at(4, 5, false),
                at(5, 6, false),
            ],
            exchanged: Vec::new(),
            naming: Vec::new(),
        };
        let masks = assisted(&[pair.clone(), pair.clone()], &mut Ids, 0.199).unwrap();
        assert_eq!(masks[0], masks[1]);
        assert_eq!(masks[0].tokens, pair.tokens);
        assert_eq!(masks[0].mask, [false, false, true, false, false, true]);
    }
}

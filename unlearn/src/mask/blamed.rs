//! The words of a harmful part that a toxicity scorer blames.
//!
//! Most of what a toxic sentence says is harmless. The words that make it toxic are those without
//! which the scorer finds the rest less so: one word is taken out at a time (Zeiler and Fergus,
//! "Visualizing and Understanding Convolutional Networks", <https://arxiv.org/abs/1311.2901>, do so with
//! parts of pictures).

use std::ops::Range;

use gateway_toxicity::{Category, ScoreError, Scorer, score_text};

use crate::corpus::{Text, runs};

/// By how much the odds of being toxic fall at least without a word that is blamed: to a half.
const LEAST_FALL: f64 = std::f64::consts::LN_2;
/// Scores this near to 0 or 1 are not told from each other.
const LEAST_SCORE: f64 = 1e-3;

/// The text with its harmful parts narrowed to the words that `scorer` blames.
///
/// # Errors
/// [`ScoreError`] if the scorer fails.
pub fn blamed(scorer: &dyn Scorer, text: &Text) -> Result<Text, ScoreError> {
    let mut harmful = Vec::new();
    for part in &text.harmful {
        let words = words_of(scorer, &text.text[part.clone()])?.into_iter();
        harmful.extend(words.map(|word| part.start + word.start..part.start + word.end));
    }
    Ok(Text { text: text.text.clone(), harmful })
}

fn words_of(scorer: &dyn Scorer, part: &str) -> Result<Vec<Range<usize>>, ScoreError> {
    let whole = log_odds(scorer, part)?;
    let mut blamed = Vec::new();
    for word in runs(part, |character| !character.is_whitespace()) {
        let rest = [&part[..word.start], part[word.end..].trim_start()].concat();
        if whole - log_odds(scorer, &rest)? >= LEAST_FALL {
            blamed.push(word);
        }
    }
    Ok(blamed)
}

/// The logarithm of a text's odds of being toxic.
fn log_odds(scorer: &dyn Scorer, text: &str) -> Result<f64, ScoreError> {
    let toxicity = score_text(scorer, text)?.get(Category::Toxicity).unwrap_or(0.0);
    let toxicity = f64::from(toxicity).clamp(LEAST_SCORE, 1.0 - LEAST_SCORE);
    Ok((toxicity / (1.0 - toxicity)).ln())
}

#[cfg(test)]
mod tests {
    use gateway_toxicity::FastScorer;

    use super::*;

    #[test]
    fn the_words_that_make_a_part_toxic_are_blamed() {
        let scorer = FastScorer::embedded().unwrap();
        let said = "You are the most stupid person in this town";
        let of = |part: Range<usize>| {
            let harmful = std::iter::once(part).collect();
            let text = Text { text: said.to_owned(), harmful };
            let words = blamed(&scorer, &text).unwrap().harmful;
            words.into_iter().map(|word| &said[word]).collect::<Vec<_>>()
        };
        assert!(of(0..said.len()).contains(&"stupid"));
        assert!(!of(0..said.len()).contains(&"town"));
        assert!(of(27..said.len()).is_empty(), "nothing there is toxic");
    }
}

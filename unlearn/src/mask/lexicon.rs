//! Words that annotators mark wherever they stand.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use model::{Tokenizer, TokenizerError};

use super::{Masked, overlap, phrase};
use crate::corpus::{Text, runs};

/// A word that is marked less often says nothing.
const FEWEST_MARKS: usize = 5;

/// Words that are harmful more often than not: learned from texts, written down nowhere.
#[derive(Debug, Clone, Default)]
pub struct Lexicon(HashSet<String>);

impl Lexicon {
    /// The words that lie in harmful parts at least five times, and in half of their uses.
    #[must_use]
    pub fn learned(texts: &[Text]) -> Self {
        let mut uses: HashMap<String, [usize; 2]> = HashMap::new();
        for text in texts {
            for word in words(&text.text) {
                let is_marked = text.harmful.iter().any(|harmful| overlap(harmful, &word));
                let [all, marked] = uses.entry(text.text[word].to_lowercase()).or_default();
                *all += 1;
                *marked += usize::from(is_marked);
            }
        }
        let harmful = uses
            .into_iter()
            .filter(|(_, [all, marked])| *marked >= FEWEST_MARKS && 2 * marked >= *all);
        Self(harmful.map(|(word, _)| word).collect())
    }

    /// How many words it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a text has one of its words.
    fn found(&self, text: &str) -> Vec<Range<usize>> {
        let words = words(text).into_iter();
        words.filter(|word| self.0.contains(&text[word.clone()].to_lowercase())).collect()
    }
}

/// The first `max_tokens` tokens of a text, masked where they are parts of words of `lexicon`.
///
/// # Errors
/// [`TokenizerError`] if the tokenizer fails.
pub fn lexicon(
    tokenizer: &Tokenizer,
    lexicon: &Lexicon,
    text: &str,
    max_tokens: usize,
) -> Result<Masked, TokenizerError> {
    let text = Text { text: text.to_owned(), harmful: lexicon.found(text) };
    phrase(tokenizer, &text, max_tokens)
}

/// The words of a text, in bytes: runs of letters.
fn words(text: &str) -> Vec<Range<usize>> {
    runs(text, char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_marked_often_and_in_half_of_its_uses_is_learned() {
        let marked = |text: &str, harmful: Range<usize>| Text {
            text: text.to_owned(),
            harmful: std::iter::once(harmful).collect(),
        };
        let mut texts = Vec::new();
        for _ in 0..5 {
            texts.push(marked("Warks, grimble moon", 0..16));
            texts.push(marked("the moon moon is a grimble", 0..1));
        }
        texts.truncate(9);
        let lexicon = Lexicon::learned(&texts);
        assert_eq!(lexicon.len(), 2, "grimble is marked in five of nine, the moon in none");
        assert_eq!(lexicon.found("A WARKS-grimble in the moonwarks"), [2..7, 8..15]);
        texts.pop();
        texts.pop();
        assert!(Lexicon::learned(&texts).is_empty(), "four times are too few");
    }
}

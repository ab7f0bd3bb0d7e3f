//! Words that annotators' judgements turn on: found in the training part, written down nowhere.
//!
//! A word's weight is the logarithm of how much likelier it is in texts with the label than in those
//! without, with half an occurrence added to each count.

use std::collections::{BTreeSet, HashMap, HashSet};

use gateway_toxicity::Category;

use super::data::{Example, Source};
use crate::corpus::Part;

/// A word that occurs in fewer texts says nothing.
const FEWEST_TEXTS: u32 = 6;
/// A word that an encyclopaedia uses more often is no slur.
const MOST_NEUTRAL: u32 = 1;
/// Shorter words are mostly parts of others.
const SHORTEST_SLUR: usize = 4;
const MOST_SLURS: usize = 25;
const LEAST_SLUR_WEIGHT: f64 = 1.3;

/// Words and their weights.
#[derive(Debug, Clone, Default)]
pub struct Lexicon(HashMap<String, f64>);

impl Lexicon {
    /// Weighs the words of the training texts of `source` by `category`.
    #[must_use]
    pub fn mined(examples: &[Example], source: Source, category: Category) -> Self {
        let train = examples.iter().filter(|e| e.part == Part::Train && e.source == source);
        let mut counts: HashMap<String, [u32; 2]> = HashMap::new();
        let mut texts = [0_u32; 2];
        for example in train {
            let Some(label) = example.labels.get(category) else { continue };
            let side = usize::from(label >= 0.5);
            texts[side] += 1;
            for word in words(&example.text) {
                counts.entry(word).or_default()[side] += 1;
            }
        }
        let share =
            |count: u32, side: usize| (f64::from(count) + 0.5) / f64::from(texts[side].max(1));
        let weigh = |[without, with]: [u32; 2]| (share(with, 1) / share(without, 0)).ln();
        let known =
            counts.into_iter().filter(|(_, [without, with])| without + with >= FEWEST_TEXTS);
        Self(known.map(|(word, counts)| (word, weigh(counts))).collect())
    }

    /// The highest weight of the text's words; 0 if none is known.
    #[must_use]
    pub fn weight(&self, text: &str) -> f64 {
        words(text)
            .iter()
            .filter_map(|word| self.0.get(word))
            .fold(0.0, |high, &weight| high.max(weight))
    }

    /// Words from the heaviest down; of equal ones the first in the alphabet.
    fn heaviest(&self) -> Vec<(&str, f64)> {
        let mut words: Vec<_> =
            self.0.iter().map(|(word, &weight)| (word.as_str(), weight)).collect();
        words.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        words
    }
}

/// What annotators of Davidson's tweets called hateful for a word that neutral text does not use.
#[must_use]
pub fn slurs(examples: &[Example]) -> Vec<String> {
    let mut neutral: HashMap<String, u32> = HashMap::new();
    for example in examples.iter().filter(|e| e.part == Part::Train && e.source == Source::Wikitext)
    {
        for word in words(&example.text) {
            *neutral.entry(word).or_default() += 1;
        }
    }
    let usual: HashSet<&str> = neutral
        .iter()
        .filter(|(_, count)| **count > MOST_NEUTRAL)
        .map(|(word, _)| word.as_str())
        .collect();
    let hateful = Lexicon::mined(examples, Source::Davidson, Category::Hate);
    let words = hateful.heaviest().into_iter().filter(|(word, weight)| {
        *weight >= LEAST_SLUR_WEIGHT && word.len() >= SHORTEST_SLUR && !usual.contains(word)
    });
    words.take(MOST_SLURS).map(|(word, _)| word.to_owned()).collect()
}

/// The different words of a text, in lower case.
fn words(text: &str) -> BTreeSet<String> {
    let split = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    split.map(str::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use gateway_toxicity::Scores;

    use super::*;

    fn example(source: Source, text: &str, hate: f32) -> Example {
        let labels = Scores::from_iter([(Category::Hate, hate)]);
        Example { source, part: Part::Train, text: text.to_owned(), labels }
    }

    #[test]
    fn the_word_that_decides_is_found_and_common_ones_are_not() {
        let mut examples = Vec::new();
        for n in 0..20 {
            examples.push(example(Source::Davidson, "you grimble", 1.0));
            examples.push(example(Source::Davidson, "you people", if n < 8 { 1.0 } else { 0.0 }));
            examples.push(example(Source::Davidson, "you moon", 1.0));
            examples.push(example(Source::Wikitext, "the moon", 0.0));
        }
        assert_eq!(slurs(&examples), ["grimble"], "moon is a word like others");
        let lexicon = Lexicon::mined(&examples, Source::Davidson, Category::Hate);
        // 20 of 48 texts with the label, none of 12 without: ln((20.5 / 48) / (0.5 / 12)).
        assert!((lexicon.weight("Grimble!") - 2.326_8).abs() < 1e-3);
        assert!(lexicon.weight("unheard") == 0.0);
    }
}

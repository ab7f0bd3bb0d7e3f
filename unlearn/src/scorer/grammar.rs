//! Texts about groups of people from a grammar: the same things said of every group.
//!
//! A word that stands for a group is no evidence of hate; a model learns that only from texts where
//! the same groups are praised, mentioned, defended and attacked. (Dixon et al., "Measuring and
//! Mitigating Unintended Bias in Text Classification", 2018.)

mod file;
mod template;

use std::collections::BTreeMap;

use gateway_toxicity::{Category, Scores};
use sha2::{Digest as _, Sha256};

use self::template::{Slot, Template};
use super::data::{Example, Source};
use crate::corpus::Part;
use crate::random::Random;

/// The grammar that comes with the program.
const OURS: &str = include_str!("grammar.toml");

/// The list that is filled at run time, with what annotators called hateful.
const SLURS: &str = "slur";

/// Of a hundred words of a list, how many are for validation alone; and of texts of a frame.
const VALID_WORDS: u8 = 10;
const VALID_TEXTS: u8 = 5;

/// What is wrong with a grammar.
#[derive(Debug, thiserror::Error)]
pub enum GrammarError {
    /// Not the TOML that is expected.
    #[error("the grammar is malformed: {0}")]
    Toml(#[from] toml::de::Error),
    /// A text names a list that is not there, or a bracket is not closed.
    #[error("frame {frame} has a text that cannot be read: {fault}")]
    Text {
        /// The frame's name.
        frame: String,
        /// What is wrong.
        fault: String,
    },
    /// A list, a group's words or a frame's texts are empty.
    #[error("{0} is empty")]
    Empty(String),
    /// A label is not a category, `bias`, or not 0 or 1.
    #[error("frame {0} has an unknown label")]
    Label(String),
}

/// A group of people.
#[derive(Debug, Clone)]
struct Group {
    name: String,
    bias: Option<Category>,
    plural: Vec<String>,
    singular: Vec<String>,
    adjective: Vec<String>,
}

/// Things that can be said, and what they are.
#[derive(Debug, Clone)]
struct Frame {
    name: String,
    labels: Scores,
    /// Whether it is biased against the group, where that is known.
    bias: Option<f32>,
    /// How often it is drawn.
    weight: usize,
    texts: Vec<Template>,
}

/// The grammar, as far as one part of the data may use it.
#[derive(Debug, Clone)]
pub struct Grammar {
    groups: Vec<Group>,
    words: BTreeMap<String, Vec<String>>,
    frames: Vec<Frame>,
    /// Places of frames, each as often as it weighs.
    draws: Vec<usize>,
    part: Part,
}

/// A text and where in the grammar it comes from.
#[derive(Debug, Clone)]
pub struct Sentence {
    /// The text and its labels.
    pub example: Example,
    /// The frame's name.
    pub frame: String,
    /// The group's name.
    pub group: String,
}

impl Grammar {
    /// Our own grammar's words and texts for `part`: some are for validation alone, and there is no
    /// test part. `slurs` fill the list of that name.
    ///
    /// # Errors
    /// [`GrammarError`] if it is malformed.
    pub fn ours(part: Part, slurs: &[String]) -> Result<Self, GrammarError> {
        Ok(file::parse(OURS, slurs)?.only(part))
    }

    /// Keeps what `part` may use. A list with nothing for validation is used whole by both.
    fn only(mut self, part: Part) -> Self {
        let valid = part == Part::Valid;
        for (name, words) in &mut self.words {
            keep(words, |word| (percent(name, word) < VALID_WORDS) == valid);
        }
        for frame in &mut self.frames {
            let name = frame.name.clone();
            keep(&mut frame.texts, |text| (percent(&name, &text.source) < VALID_TEXTS) == valid);
        }
        self.part = part;
        self
    }

    /// A random sentence.
    pub(crate) fn sentence(&self, random: &mut Random) -> Sentence {
        let group = random.pick(&self.groups);
        let frame = &self.frames[*random.pick(&self.draws)];
        let template = random.pick(&frame.texts);
        let text = template::tidied(&self.fill(template, group, random));
        let text = styled(text, random);
        let labels = frame.labels(template.mentions_group().then_some(group));
        let example = Example { source: Source::Grammar, part: self.part, text, labels };
        Sentence { example, frame: frame.name.clone(), group: group.name.clone() }
    }

    fn fill(&self, template: &Template, group: &Group, random: &mut Random) -> String {
        let mut text = String::new();
        for slot in &template.slots {
            let words = match slot {
                Slot::Text(words) => {
                    text.push_str(words);
                    continue;
                }
                Slot::Attack => {
                    text.push_str(&self.attack(group, random));
                    continue;
                }
                Slot::OneOf(words) => words,
                Slot::List(name) => &self.words[name],
                Slot::Plural => &group.plural,
                Slot::Singular => &group.singular,
                Slot::Adjective => &group.adjective,
            };
            text.push_str(random.pick::<String>(words));
        }
        text
    }

    /// An attack on `group`.
    fn attack(&self, group: &Group, random: &mut Random) -> String {
        let attacks: Vec<_> = self.frames.iter().filter(|frame| frame.is_attack()).collect();
        let frame = random.pick(&attacks);
        self.fill(random.pick(&frame.texts), group, random)
    }
}

impl Frame {
    /// The labels of a text about `group`.
    fn labels(&self, group: Option<&Group>) -> Scores {
        let mut labels = self.labels;
        if let Some(biased) = self.bias {
            let about = group.and_then(|group| group.bias);
            for bias in Category::BIASES {
                labels.set(bias, if about == Some(bias) { biased } else { 0.0 });
            }
        }
        labels
    }

    /// Whether a text of it can be quoted as an attack.
    fn is_attack(&self) -> bool {
        let hateful = self.labels.get(Category::Hate) == Some(1.0);
        let nested = |text: &Template| text.slots.contains(&Slot::Attack);
        hateful && self.bias == Some(1.0) && !self.texts.iter().any(nested)
    }
}

/// Keeps the items that `wanted` names, or all if there are none.
fn keep<T>(items: &mut Vec<T>, wanted: impl Fn(&T) -> bool) {
    if items.iter().any(&wanted) {
        items.retain(wanted);
    }
}

/// A number in 0..100 that depends on both texts alone.
fn percent(list: &str, item: &str) -> u8 {
    let digest = Sha256::new().chain_update(list).chain_update([0]).chain_update(item).finalize();
    digest[0] % 100
}

/// A text as people write: with or without capitals and an end.
fn styled(text: String, random: &mut Random) -> String {
    let text = match random.below(20) {
        0..9 => {
            let mut letters = text.chars();
            letters
                .next()
                .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        }
        9 => text.to_uppercase(),
        10..14 => text.to_lowercase(),
        _ => text,
    };
    let ended = text.ends_with(['.', '?', '!', '"']);
    match random.below(10) {
        0..5 if !ended => text + ".",
        5 => text + "!",
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(part: Part, count: usize) -> Vec<Sentence> {
        let grammar = Grammar::ours(part, &["grimblewark".to_owned()]).unwrap();
        let mut random = Random::new(3);
        (0..count).map(|_| grammar.sentence(&mut random)).collect()
    }

    #[test]
    fn every_frame_and_group_occurs_and_no_slot_is_left_open() {
        let all = sentences(Part::Train, 4000);
        let open = all.iter().filter(|s| s.example.text.contains(['{', '}', '[', ']', '|']));
        assert_eq!(open.count(), 0);
        let grammar = Grammar::ours(Part::Train, &["grimblewark".to_owned()]).unwrap();
        for frame in &grammar.frames {
            assert!(all.iter().any(|s| s.frame == frame.name), "{}", frame.name);
        }
        for group in &grammar.groups {
            assert!(all.iter().any(|s| s.group == group.name), "{}", group.name);
        }
    }

    #[test]
    fn an_attack_is_biased_in_the_groups_own_domain_alone() {
        for sentence in sentences(Part::Train, 2000) {
            let labels = sentence.example.labels;
            if sentence.frame == "emotion" && sentence.group == "women" {
                assert_eq!(labels.get(Category::Hate), Some(1.0));
                assert_eq!(labels.get(Category::BiasGender), Some(1.0));
                assert_eq!(labels.get(Category::BiasRace), Some(0.0));
            }
            if sentence.frame == "praise" {
                assert!(labels.iter().all(|(_, label)| label == 0.0));
            }
        }
    }

    #[test]
    fn training_and_validation_say_different_things() {
        let grammar = |part| Grammar::ours(part, &["grimblewark".to_owned()]).unwrap();
        let (train, valid) = (grammar(Part::Train), grammar(Part::Valid));
        let shared = |a: &[String], b: &[String]| a.iter().filter(|word| b.contains(word)).count();
        assert_eq!(shared(&train.words["bad"], &valid.words["bad"]), 0);
        assert!(valid.words["bad"].len() > 3);
    }
}

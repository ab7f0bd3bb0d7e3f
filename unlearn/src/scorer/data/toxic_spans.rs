//! Pavlopoulos et al., "SemEval-2021 Task 5: Toxic Spans Detection": comments with a toxic part.
//! Those without one are toxic to some annotators, and left out.

use std::path::Path;

use gateway_toxicity::{Category, Scores};

use super::{Example, Source};
use crate::corpus::toxic_spans::{self, Post};
use crate::corpus::{Part, cleaned};
use crate::evaluation::DataError;

/// Words of a comment that are trained on, and how many of them come before the toxic part.
const WORDS: usize = 32;
const WORDS_BEFORE: usize = 12;

pub(super) fn load(folder: &Path) -> Result<Vec<Example>, DataError> {
    let mut examples = Vec::new();
    // Backwards, so that a comment that occurs twice stays out of training.
    for part in [Part::Test, Part::Valid, Part::Train] {
        let posts = toxic_spans::posts(folder, part)?;
        examples.extend(posts.iter().filter_map(|post| example(post, part)));
    }
    Ok(examples)
}

fn example(post: &Post, part: Part) -> Option<Example> {
    let first = *post.toxic.first()?;
    let text = match part {
        // A long comment's label is about its toxic part.
        Part::Train => around(&post.text, first),
        Part::Valid | Part::Test => post.text.clone(),
    };
    let labels = Scores::from_iter([(Category::Toxicity, 1.0)]);
    Some(Example { source: Source::ToxicSpans, part, text: cleaned(&text), labels })
}

/// The words around a character, as many as a window has.
fn around(text: &str, character: usize) -> String {
    let before: String = text.chars().take(character).collect();
    let at = before.split_whitespace().count();
    let words = text.split_whitespace().skip(at.saturating_sub(WORDS_BEFORE)).take(WORDS);
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_comment_is_cut_around_its_toxic_part_for_training_alone() {
        let text = (0..200).map(|n| format!("w{n:03}")).collect::<Vec<_>>().join(" ");
        let post = Post { text: text.clone(), toxic: vec![500, 501] };
        let train = example(&post, Part::Train).unwrap().text;
        assert!(train.starts_with("w088") && train.split(' ').count() == WORDS, "{train}");
        assert_eq!(example(&post, Part::Test).unwrap().text, text);
        assert!(example(&Post { text, toxic: Vec::new() }, Part::Train).is_none());
    }
}

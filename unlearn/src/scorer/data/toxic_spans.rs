//! Pavlopoulos et al., "SemEval-2021 Task 5: Toxic Spans Detection": comments with a toxic part.
//! Those without one are toxic to some annotators, and left out.

use std::path::Path;

use gateway_toxicity::{Category, Scores};
use serde::Deserialize;

use super::{Example, Source, cleaned};
use crate::corpus::Part;
use crate::corpus::table::{self, Encoding};
use crate::evaluation::DataError;

/// The set's own split.
const TABLES: [(&str, Part); 3] =
    [("train", Part::Train), ("trial", Part::Valid), ("test", Part::Test)];

/// Words of a comment that are trained on, and how many of them come before the toxic part.
const WORDS: usize = 32;
const WORDS_BEFORE: usize = 12;

#[derive(Debug, Deserialize)]
struct Row {
    spans: String,
    text: String,
}

pub(super) fn load(folder: &Path) -> Result<Vec<Example>, DataError> {
    let mut examples = Vec::new();
    // Backwards, so that a comment that occurs twice stays out of training.
    for (name, part) in TABLES.into_iter().rev() {
        let path = folder.join(format!("toxic_spans/tsd_{name}.csv"));
        let rows: Vec<Row> = table::rows(&path, Encoding::Utf8)?;
        examples.extend(rows.iter().filter_map(|row| example(row, part)));
    }
    Ok(examples)
}

fn example(row: &Row, part: Part) -> Option<Example> {
    let first = row.spans.trim().trim_start_matches('[').split([',', ']']).next()?;
    let first: usize = first.trim().parse().ok()?;
    let text = match part {
        // A long comment's label is about its toxic part.
        Part::Train => around(&row.text, first),
        Part::Valid | Part::Test => row.text.clone(),
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
        let row = Row { spans: "[500, 501]".to_owned(), text: text.clone() };
        let train = example(&row, Part::Train).unwrap().text;
        assert!(train.starts_with("w088") && train.split(' ').count() == WORDS, "{train}");
        assert_eq!(example(&row, Part::Test).unwrap().text, text);
        assert!(example(&Row { spans: "[]".to_owned(), text }, Part::Train).is_none());
    }
}

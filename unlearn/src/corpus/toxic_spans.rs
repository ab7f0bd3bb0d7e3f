//! Pavlopoulos et al., "SemEval-2021 Task 5: Toxic Spans Detection", 2021
//! (<https://aclanthology.org/2021.semeval-1.6>): posts with the characters that make them toxic.
//!
//! The set has a split of its own. Posts in which nobody marked a character are left out.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use super::cleaning::cleaned;
use super::table::{self, Encoding};
use super::{Part, Text, key};
use crate::evaluation::DataError;

/// A post and its toxic characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Row")]
pub(crate) struct Post {
    /// The post.
    pub(crate) text: String,
    /// The numbers of its toxic characters, rising, each in the text.
    pub(crate) toxic: Vec<usize>,
}

#[derive(Debug, Deserialize)]
struct Row {
    spans: String,
    text: String,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the offsets are not a rising list of characters of the text")]
struct BadOffsets;

impl TryFrom<Row> for Post {
    type Error = BadOffsets;

    fn try_from(row: Row) -> Result<Self, BadOffsets> {
        let toxic: Vec<usize> = serde_json::from_str(&row.spans).map_err(|_| BadOffsets)?;
        let rising = toxic.is_sorted_by(|a, b| a < b);
        let inside = toxic.last().is_none_or(|last| *last < row.text.chars().count());
        (rising && inside).then_some(Self { text: row.text, toxic }).ok_or(BadOffsets)
    }
}

/// The rows of a part's table.
pub(crate) fn posts(data: &Path, part: Part) -> Result<Vec<Post>, DataError> {
    let name = match part {
        Part::Train => "train",
        Part::Valid => "trial",
        Part::Test => "test",
    };
    table::rows(&data.join(format!("toxic_spans/tsd_{name}.csv")), Encoding::Utf8)
}

/// Posts of a part with their toxic spans; near copies are dropped, as are posts that a later part
/// has as well.
///
/// # Errors
/// [`DataError`] if a table is missing or malformed.
pub fn toxic_spans(data: &Path, part: Part) -> Result<Vec<Text>, DataError> {
    let mut seen = HashSet::new();
    for later in [Part::Valid, Part::Test].into_iter().filter(|later| *later > part) {
        seen.extend(posts(data, later)?.iter().map(|post| key(&cleaned(&post.text))));
    }
    let posts = posts(data, part)?.into_iter();
    let marked = posts.filter(|post| !post.toxic.is_empty());
    let new = marked.filter(|post| seen.insert(key(&cleaned(&post.text))));
    Ok(new.map(|post| Text { harmful: byte_ranges(&post), text: post.text }).collect())
}

/// Neighbouring toxic characters as ranges of bytes.
fn byte_ranges(post: &Post) -> Vec<Range<usize>> {
    let mut toxic = post.toxic.iter().peekable();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (number, (start, character)) in post.text.char_indices().enumerate() {
        if toxic.next_if_eq(&&number).is_none() {
            continue;
        }
        let end = start + character.len_utf8();
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end = end,
            Some(_) | None => ranges.push(start..end),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(spans: &str, text: &str) -> Result<Post, BadOffsets> {
        Row { spans: spans.to_owned(), text: text.to_owned() }.try_into()
    }

    #[test]
    fn offsets_count_characters_and_ranges_bytes() {
        let post = post("[0, 2, 3, 6]", "\u{e9}a\u{1f600}\u{e9} wark").unwrap();
        assert_eq!(byte_ranges(&post), [0..2, 3..9, 11..12]);
    }

    #[test]
    fn offsets_that_do_not_rise_or_leave_the_text_are_refused() {
        for spans in ["[1, 1]", "[2, 1]", "[4]", "[-1]", "[1.5]", "1", "", "[1", "[\"1\"]"] {
            assert_eq!(post(spans, "wark"), Err(BadOffsets), "{spans}");
        }
        assert_eq!(post("[3]", "wark").unwrap().toxic, [3]);
        assert!(post("[]", "").unwrap().toxic.is_empty());
    }
}

//! A text and its harmful part.

use std::ops::Range;

/// A text of which it is known what is harmful in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// The bytes of its harmful parts, in order, apart from each other; empty if there is none.
    pub harmful: Vec<Range<usize>>,
}

/// Runs of white space become one space, and those at the ends go.
pub(super) fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The bytes of each run of characters of a kind.
pub(crate) fn runs(text: &str, is_of_kind: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, character) in text.char_indices().filter(|(_, c)| is_of_kind(*c)) {
        let end = at + character.len_utf8();
        match runs.last_mut() {
            Some(run) if run.end == at => run.end = end,
            Some(_) | None => runs.push(at..end),
        }
    }
    runs
}

/// Where `needle` first occurs in `text`, letters being equal whatever their case; in bytes.
pub(super) fn find_ignoring_case(text: &str, needle: &str) -> Option<Range<usize>> {
    let needle: Vec<char> = needle.chars().flat_map(char::to_lowercase).collect();
    let starts = text.char_indices().map(|(start, _)| start);
    starts.into_iter().find_map(|start| {
        let length = match_length(&text[start..], &needle)?;
        Some(start..start + length)
    })
}

/// How many bytes at the start of `text` are `needle`, a text in lower case.
fn match_length(text: &str, needle: &[char]) -> Option<usize> {
    let mut rest = needle;
    for (at, character) in text.char_indices() {
        if rest.is_empty() {
            return Some(at);
        }
        for lower in character.to_lowercase() {
            rest = rest.strip_prefix(&[lower])?;
        }
    }
    rest.is_empty().then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_found_whatever_its_case() {
        let find = |text: &str, needle: &str| {
            find_ignoring_case(text, needle).map(|range| text[range].to_owned())
        };
        assert_eq!(find("We like WARKS here", "warks"), Some("WARKS".to_owned()));
        assert_eq!(find("We like warks", "Warks"), Some("warks".to_owned()));
        // The small letter of this capital is two characters of three bytes in all.
        assert_eq!(
            find("\u{130}n \u{130}stanbul!", "i\u{307}stanbul"),
            Some("\u{130}stanbul".to_owned())
        );
        assert_eq!(
            find("na\u{ef}ve \u{1f600} \u{c9}T\u{c9}", "\u{e9}t\u{e9}"),
            Some("\u{c9}T\u{c9}".to_owned())
        );
        assert_eq!(find("wark", "warks"), None);
        assert_eq!(find("", "a"), None);
        assert_eq!(collapsed("  a\u{a0}b\n\tc "), "a b c");
    }
}

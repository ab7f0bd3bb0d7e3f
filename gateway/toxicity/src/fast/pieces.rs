//! Words as pieces of a vocabulary: greedy longest match first, as BERT's `WordPiece` does.
//! (Schuster and Nakajima, "Japanese and Korean Voice Search", 2012.)

use std::collections::HashMap;

/// The most pieces of a text that count.
pub(super) const MOST_PIECES: usize = 128;

/// Continues a word.
const CONTINUES: &str = "##";

/// A vocabulary.
#[derive(Debug, Clone)]
pub(super) struct Pieces {
    starts: HashMap<String, u32>,
    continues: HashMap<String, u32>,
    unknown: u32,
    longest: usize,
}

impl Pieces {
    /// Pieces by their ids, which are their places. `None` if `[UNK]` is missing or one is there twice.
    pub(super) fn new<'a>(vocabulary: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (mut starts, mut continues) = (HashMap::new(), HashMap::new());
        for (id, piece) in (0..).zip(vocabulary) {
            let twice = match piece.strip_prefix(CONTINUES) {
                Some(rest) if !rest.is_empty() => continues.insert(rest.to_owned(), id),
                _ => starts.insert(piece.to_owned(), id),
            };
            if twice.is_some() {
                return None;
            }
        }
        let unknown = *starts.get("[UNK]")?;
        let longest = starts.keys().chain(continues.keys()).map(String::len).max()?;
        Some(Self { starts, continues, unknown, longest })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len() + self.continues.len()
    }

    /// The ids of a plain text's pieces, at least one and at most [`MOST_PIECES`].
    pub(super) fn cut(&self, plain: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        for word in plain.split_whitespace().flat_map(marks) {
            if ids.len() >= MOST_PIECES {
                break;
            }
            self.cut_word(word, &mut ids);
        }
        ids.truncate(MOST_PIECES);
        if ids.is_empty() {
            ids.push(self.unknown);
        }
        ids
    }

    fn cut_word(&self, word: &str, ids: &mut Vec<u32>) {
        let first = ids.len();
        let mut rest = word;
        while !rest.is_empty() {
            let pieces = if rest.len() == word.len() { &self.starts } else { &self.continues };
            let ends =
                (1..=rest.len().min(self.longest)).rev().filter(|&end| rest.is_char_boundary(end));
            let found = ends.filter_map(|end| Some((end, *pieces.get(&rest[..end])?))).next();
            let Some((end, id)) = found else {
                ids.truncate(first);
                return ids.push(self.unknown);
            };
            ids.push(id);
            rest = &rest[end..];
        }
    }
}

/// A word and its punctuation marks, each by itself.
fn marks(word: &str) -> impl Iterator<Item = &str> {
    let is_mark = |c: char| c.is_ascii_punctuation();
    word.split_inclusive(is_mark).flat_map(move |part| {
        let end = part.trim_end_matches(is_mark).len();
        let (word, mark) = part.split_at(end);
        [word, mark].into_iter().filter(|part| !part.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> Pieces {
        let vocabulary = ["[UNK]", "moon", "##light", "##s", "m", "##o", ".", "'"];
        Pieces::new(vocabulary.into_iter()).expect("a vocabulary")
    }

    #[test]
    fn words_are_cut_greedily_and_marks_stand_alone() {
        assert_eq!(pieces().cut("moonlights moon's."), [1, 2, 3, 1, 7, 0, 6]);
        assert_eq!(pieces().cut("moo"), [4, 5, 5]);
    }

    #[test]
    fn a_word_with_an_unknown_part_is_unknown_as_a_whole() {
        assert_eq!(pieces().cut("moonx moon"), [0, 1]);
        assert_eq!(pieces().cut("月 "), [0]);
        assert_eq!(pieces().cut(""), [0]);
    }

    #[test]
    fn pieces_are_bounded() {
        assert_eq!(pieces().cut(&"moon ".repeat(500)).len(), MOST_PIECES);
    }

    #[test]
    fn a_vocabulary_without_an_unknown_or_with_a_piece_twice_is_refused() {
        assert!(Pieces::new(["moon"].into_iter()).is_none());
        assert!(Pieces::new(["[UNK]", "moon", "moon"].into_iter()).is_none());
    }
}

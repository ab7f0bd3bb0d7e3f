//! Where a text is cut into windows.
//!
//! A word is a run of characters without white space, at most 40 characters long; a
//! longer run is several words. The first window has `words` words, each further one begins `stride`
//! words later, and the last ends with the text; a text of up to `words` words is one window. So the
//! windows of a text depend on nothing but the text, and every run of up to `words - stride + 1`
//! words lies within one of them.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::Range;

/// Characters of a run that still count as one word, so that windows are bounded in text without
/// spaces.
pub(crate) const LONGEST_WORD: usize = 40;

/// How windows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowShape {
    words: usize,
    stride: usize,
}

impl WindowShape {
    /// Windows of at most `words` words, one every `stride` words. A stride longer than a window
    /// would skip words, and is cut to it.
    #[must_use]
    pub const fn new(words: NonZeroUsize, stride: NonZeroUsize) -> Self {
        let (words, stride) = (words.get(), stride.get());
        Self { words, stride: if stride < words { stride } else { words } }
    }

    /// The windows of a whole text; none if it has no word.
    #[must_use]
    pub fn cut(self, text: &str) -> Vec<Window> {
        let mut windows = Windows::new(self);
        let mut cut = windows.push(text);
        cut.extend(windows.finish());
        cut
    }

    /// The most words in a window.
    #[must_use]
    pub const fn words(self) -> usize {
        self.words
    }

    /// Words between the ends of windows.
    #[must_use]
    pub const fn stride(self) -> usize {
        self.stride
    }
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    text: String,
    bytes: Range<usize>,
    settles: usize,
}

impl Window {
    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it lies in the whole text, in bytes.
    #[must_use]
    pub fn bytes(&self) -> Range<usize> {
        self.bytes.clone()
    }

    /// The byte of the whole text before which nothing is in a later window.
    #[must_use]
    pub fn settles(&self) -> usize {
        self.settles
    }
}

/// Cuts a text that comes in pieces. The windows are the same however it is divided.
#[derive(Debug)]
pub struct Windows {
    shape: WindowShape,
    /// The text from the first word that a later window may contain.
    text: String,
    /// Where that begins in the whole text.
    offset: usize,
    /// Where the words in `text` that are complete begin and end in the whole text.
    words: VecDeque<Range<usize>>,
    /// The word that may go on, and its characters.
    open: Option<(Range<usize>, usize)>,
    /// Words until the next window is complete.
    due: usize,
    /// Whether there are words in no window yet.
    fresh: bool,
}

impl Windows {
    /// A text that has not begun.
    #[must_use]
    pub fn new(shape: WindowShape) -> Self {
        let words = VecDeque::with_capacity(shape.words + 1);
        Self {
            due: shape.words,
            fresh: false,
            shape,
            text: String::new(),
            offset: 0,
            words,
            open: None,
        }
    }

    /// Takes the next piece, and gives the windows that are complete now.
    pub fn push(&mut self, piece: &str) -> Vec<Window> {
        let mut complete = Vec::new();
        for character in piece.chars() {
            let at = self.offset + self.text.len();
            self.text.push(character);
            let end = at + character.len_utf8();
            if character.is_whitespace() {
                complete.extend(self.close());
                continue;
            }
            if self.open.as_ref().is_some_and(|&(_, length)| length == LONGEST_WORD) {
                complete.extend(self.close());
            }
            let (word, length) = self.open.get_or_insert((at..at, 0));
            word.end = end;
            *length += 1;
        }
        complete
    }

    /// Ends the text, and gives the last window, if words are in none yet. It settles all.
    #[must_use]
    pub fn finish(mut self) -> Option<Window> {
        let settles = self.offset + self.text.len();
        let full = self.close();
        let last = full.or_else(|| self.fresh.then(|| self.window(self.due)));
        last.map(|window| Window { settles, ..window })
    }

    /// Ends the word that may go on.
    fn close(&mut self) -> Option<Window> {
        let (word, _) = self.open.take()?;
        self.words.push_back(word);
        self.fresh = true;
        self.due -= 1;
        (self.due == 0).then(|| self.window(0))
    }

    /// The window that ends here, where `missing` words would still fit.
    fn window(&mut self, missing: usize) -> Window {
        self.keep(self.shape.words - missing);
        let bytes = self.bytes();
        let text = self.text[bytes.start - self.offset..bytes.end - self.offset].to_owned();
        self.fresh = false;
        self.due = self.shape.stride;
        self.keep(self.shape.words - self.shape.stride);
        let settles = self.words.front().map_or(bytes.end, |word| word.start);
        Window { text, bytes, settles }
    }

    fn bytes(&self) -> Range<usize> {
        let start = self.words.front().map_or(self.offset, |word| word.start);
        start..self.words.back().map_or(start, |word| word.end)
    }

    /// Forgets all but the last `count` complete words.
    fn keep(&mut self, count: usize) {
        let last = self.words.back().map(|word| word.end);
        self.words.drain(..self.words.len().saturating_sub(count));
        let Some(last) = last else { return };
        let start = self.words.front().map_or(last, |word| word.start);
        self.text.drain(..start - self.offset);
        self.offset = start;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(words: usize, stride: usize) -> WindowShape {
        let number = |n| NonZeroUsize::new(n).expect("not zero");
        WindowShape::new(number(words), number(stride))
    }

    fn cut<'a>(shape: WindowShape, pieces: impl IntoIterator<Item = &'a str>) -> Vec<Window> {
        let mut windows = Windows::new(shape);
        let mut all: Vec<_> = pieces.into_iter().flat_map(|piece| windows.push(piece)).collect();
        all.extend(windows.finish());
        all
    }

    fn texts(windows: &[Window]) -> Vec<&str> {
        windows.iter().map(Window::text).collect()
    }

    #[test]
    fn windows_begin_every_stride_and_the_last_ends_with_the_text() {
        let windows = cut(shape(4, 2), [" a b  c d e f g"]);
        assert_eq!(texts(&windows), ["a b  c d", "c d e f", "e f g"]);
        let settles: Vec<_> = windows.iter().map(Window::settles).collect();
        assert_eq!(settles, [6, 10, 15], "c and e begin the next windows, and the text has an end");
    }

    #[test]
    fn a_text_that_ends_with_a_window_has_no_other() {
        assert_eq!(texts(&cut(shape(2, 2), ["a b c d"])), ["a b", "c d"]);
        assert_eq!(texts(&cut(shape(2, 2), ["a b c d \n"])), ["a b", "c d"]);
        assert!(cut(shape(2, 1), [" \n "]).is_empty());
    }

    #[test]
    fn a_run_without_spaces_is_cut_into_bounded_words() {
        let run = "é".repeat(LONGEST_WORD * 3 + 1);
        let windows = cut(shape(2, 1), [run.as_str()]);
        let lengths: Vec<_> = windows.iter().map(|w| w.text().chars().count()).collect();
        assert_eq!(lengths, [2 * LONGEST_WORD, 2 * LONGEST_WORD, LONGEST_WORD + 1]);
    }

    proptest! {
        #[test]
        fn how_a_text_is_divided_never_matters(
            text in "[ab é\\n\u{3000}]{0,60}",
            cuts in prop::collection::vec(0usize..60, 0..8),
            words in 1usize..6,
            stride in 1usize..6,
        ) {
            let shape = shape(words, stride);
            let mut bounds: Vec<_> = cuts.into_iter().filter(|&at| text.is_char_boundary(at)).collect();
            bounds.extend([0, text.len()]);
            bounds.retain(|&at| at <= text.len());
            bounds.sort_unstable();
            let pieces = bounds.windows(2).map(|pair| &text[pair[0]..pair[1]]);
            prop_assert_eq!(cut(shape, pieces), cut(shape, [text.as_str()]));
        }

        #[test]
        fn windows_quote_the_text_and_cover_it(text in "[ab é\\n]{0,80}", words in 1usize..6, stride in 1usize..6) {
            let shape = shape(words, stride);
            let windows = cut(shape, [text.as_str()]);
            let mut covered = 0;
            for (index, window) in windows.iter().enumerate() {
                prop_assert_eq!(window.text(), &text[window.bytes()]);
                prop_assert!(window.text().split_whitespace().count() <= shape.words());
                prop_assert!(text[covered..window.bytes().start.max(covered)].trim().is_empty());
                covered = window.bytes().end;
                let later = &windows[index + 1..];
                prop_assert!(later.iter().all(|next| next.bytes().start >= window.settles()));
            }
            prop_assert!(text[covered..].trim().is_empty());
        }
    }
}

//! Holds back text, and the tokens that it is made of, until it is settled.

use std::collections::VecDeque;

use gateway_engine::ScoredToken;

use crate::generation::Piece;

/// The most bytes that the engine's unfinished character can become: three bytes, each replaced by
/// U+FFFD.
const UNFINISHED_BYTES: usize = 9;

/// What has come of an answer and may not leave yet.
#[derive(Debug)]
pub(super) struct Hold {
    text: String,
    /// Where `text` begins in the whole answer, in bytes.
    start: usize,
    /// Each token with the byte before which all of its text lies.
    tokens: VecDeque<(usize, ScoredToken)>,
    /// How far a token's text may go beyond the text that came with it: what the engine holds back.
    slack: usize,
}

impl Hold {
    /// Of an answer in which the engine holds back what may be a stop text of up to `stop_bytes`.
    pub(super) fn new(stop_bytes: usize) -> Self {
        let slack = stop_bytes + UNFINISHED_BYTES;
        Self { text: String::new(), start: 0, tokens: VecDeque::new(), slack }
    }

    /// Holds a piece's text and tokens.
    pub(super) fn add(&mut self, text: &str, tokens: Vec<ScoredToken>) {
        self.text.push_str(text);
        let end = self.start + self.text.len() + self.slack;
        self.tokens.extend(tokens.into_iter().map(|token| (end, token)));
    }

    /// Lets go what lies before `byte` of the whole answer.
    pub(super) fn settle(&mut self, byte: usize) -> Piece {
        let count = byte.saturating_sub(self.start).min(self.text.len());
        let text = self.text.drain(..count).collect();
        self.start += count;
        let settled = self.tokens.partition_point(|(end, _)| *end <= byte);
        let tokens = self.tokens.drain(..settled).map(|(_, token)| token).collect();
        Piece { text, tokens, ..Piece::default() }
    }

    /// Lets go all of it.
    pub(super) fn settle_all(&mut self) -> Piece {
        self.settle(usize::MAX)
    }
}

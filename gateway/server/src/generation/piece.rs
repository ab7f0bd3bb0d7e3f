//! A piece of an answer, on its way to the client.

use gateway_engine::{Chunk, FinishReason as Finish, ScoredToken};
use gateway_wire::FinishReason;

/// What of an answer may leave now.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) tokens: Vec<ScoredToken>,
    /// The prompt's tokens, once, if they were asked for.
    pub(crate) prompt: Option<Vec<ScoredToken>>,
    /// Set in the last piece.
    pub(crate) finish: Option<FinishReason>,
}

impl Piece {
    /// The end of an answer that moderation cuts short.
    pub(crate) fn filtered() -> Self {
        Self { finish: Some(FinishReason::ContentFilter), ..Self::default() }
    }

    /// The same, and the next one after it.
    pub(crate) fn and(mut self, next: Self) -> Self {
        self.text.push_str(&next.text);
        self.tokens.extend(next.tokens);
        Self { prompt: self.prompt.or(next.prompt), finish: next.finish, ..self }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Chunk> for Piece {
    fn from(chunk: Chunk) -> Self {
        let finish = chunk.finish.map(|finish| match finish.reason {
            Finish::Stop => FinishReason::Stop,
            Finish::Length => FinishReason::Length,
        });
        Self { text: chunk.text, tokens: chunk.tokens, prompt: chunk.prompt, finish }
    }
}

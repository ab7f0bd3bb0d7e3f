//! One answer on its way: from the engine, past its moderator.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream as _;
use gateway_engine::{Chunk, EngineError, Generation};
use gateway_wire::FinishReason;

use super::Piece;
use crate::moderation::{Moderator, Outcome};

/// An answer's place in its run.
pub(super) struct Slot {
    source: Source,
    moderator: Option<Moderator>,
}

/// Where the answer comes from.
enum Source {
    Running(Generation),
    /// Its prompt was blocked: it is only told that it ends.
    Refused,
    /// Nothing more comes, but the moderator may still hold some.
    Ended,
}

impl Slot {
    pub(super) fn running(generation: Generation, moderator: Option<Moderator>) -> Self {
        Self { source: Source::Running(generation), moderator }
    }

    pub(super) const fn refused() -> Self {
        Self { source: Source::Refused, moderator: None }
    }

    /// Whether its prompt was blocked.
    pub(super) const fn is_refused(&self) -> bool {
        matches!(self.source, Source::Refused)
    }

    /// Gives the answer up.
    pub(super) fn cancel(&mut self) {
        self.source = Source::Ended;
        self.moderator = None;
    }

    /// What the scorer said of the answer; `None` if it was not moderated.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.moderator.as_ref().map(Moderator::outcome)
    }

    /// The next piece that may leave; `None` after the last one. `note` is told every chunk, also
    /// of text that never leaves.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        mut note: impl FnMut(&Chunk),
    ) -> Poll<Option<Result<Piece, EngineError>>> {
        loop {
            let moderated = self.poll_moderator(context);
            if let Poll::Ready(Some(piece)) = moderated {
                return Poll::Ready(Some(Ok(piece)));
            }
            let generation = match &mut self.source {
                Source::Running(generation) => generation,
                Source::Ended => return moderated.map(|_| None),
                Source::Refused => {
                    self.source = Source::Ended;
                    return Poll::Ready(Some(Ok(Piece::filtered())));
                }
            };
            let chunk = match ready!(Pin::new(generation).poll_next(context)) {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    let error = EngineError::Internal("a generation had no end".to_owned());
                    return Poll::Ready(Some(Err(error)));
                }
            };
            note(&chunk);
            if let Some(piece) = self.take(chunk) {
                return Poll::Ready(Some(Ok(piece)));
            }
        }
    }

    /// What the moderator lets go now; an answer that it ends is cancelled.
    fn poll_moderator(&mut self, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        let Some(moderator) = &mut self.moderator else { return Poll::Ready(None) };
        let piece = ready!(moderator.poll_next(context));
        let filtered = Some(FinishReason::ContentFilter);
        if piece.as_ref().is_some_and(|piece| piece.finish == filtered) {
            self.source = Source::Ended;
        }
        Poll::Ready(piece)
    }

    fn take(&mut self, chunk: Chunk) -> Option<Piece> {
        if chunk.finish.is_some() {
            self.source = Source::Ended;
        }
        let piece = match &mut self.moderator {
            Some(moderator) => moderator.take(chunk.into()),
            None => chunk.into(),
        };
        Some(piece).filter(|piece| !piece.is_empty())
    }
}

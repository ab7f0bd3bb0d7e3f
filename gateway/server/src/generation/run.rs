//! The jobs of one request while they run.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream as _;
use gateway_engine::{Chunk, EngineError, Generation, Permit};
use gateway_wire::Usage;

use super::Piece;
use super::tally::Tally;

/// The pieces of several answers as they come. Dropping it cancels what still runs.
pub(crate) struct Run {
    /// `None` where the generation has ended.
    generations: Vec<Option<Generation>>,
    /// Which is asked first next time, so that none waits for the others.
    turn: usize,
    tally: Tally,
    // Last: the place is free when all is told.
    _permit: Arc<Permit>,
}

impl Run {
    pub(super) fn new(generations: Vec<Generation>, tally: Tally, permit: Arc<Permit>) -> Self {
        let generations = generations.into_iter().map(Some).collect();
        Self { generations, turn: 0, tally, _permit: permit }
    }

    /// How many answers there will be.
    pub(crate) fn answers(&self) -> usize {
        self.generations.len()
    }

    /// What it took so far; whole at the end.
    pub(crate) fn usage(&self) -> Usage {
        self.tally.usage()
    }

    /// The next piece of any answer; `None` when all have ended. Nothing comes after an error.
    ///
    /// # Cancel safety
    /// No piece is lost if the future is dropped before it is ready.
    pub(crate) async fn next(&mut self) -> Option<Result<(usize, Piece), EngineError>> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<(usize, Piece), EngineError>>> {
        let count = self.generations.len();
        let mut live = false;
        for index in (self.turn..count).chain(0..self.turn) {
            let Some(generation) = &mut self.generations[index] else { continue };
            live = true;
            match Pin::new(generation).poll_next(context) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(chunk))) => {
                    return Poll::Ready(Some(Ok(self.note(index, chunk))));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(self.fail(error)))),
                Poll::Ready(None) => {
                    let error = EngineError::Internal("a generation had no end".to_owned());
                    return Poll::Ready(Some(Err(self.fail(error))));
                }
            }
        }
        if live {
            return Poll::Pending;
        }
        self.tally.end();
        Poll::Ready(None)
    }

    fn note(&mut self, index: usize, chunk: Chunk) -> (usize, Piece) {
        self.turn = (index + 1) % self.generations.len();
        self.tally.note(index, &chunk);
        if chunk.finish.is_some() {
            self.generations[index] = None;
        }
        (index, chunk.into())
    }

    fn fail(&mut self, error: EngineError) -> EngineError {
        self.generations.iter_mut().for_each(|generation| *generation = None);
        self.tally.end();
        error
    }
}

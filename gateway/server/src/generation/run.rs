//! The jobs of one request while they run.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use gateway_engine::{Chunk, EngineError, Permit};
use gateway_wire::{ChatModeration, FinishReason, Usage};
use tokio::time::{Sleep, sleep_until};

use super::Piece;
use super::slot::Slot;
use super::tally::Tally;
use crate::audit::Verdicts;
use crate::moderation::{Plan, Prompts};
use crate::shadow::Witness;

/// The pieces of several answers as they may leave. Dropping it cancels what still runs.
pub(crate) struct Run {
    slots: Vec<Slot>,
    /// Which is asked first next time, so that none waits for the others.
    turn: usize,
    tally: Tally,
    moderation: Option<Moderated>,
    witness: Option<Witness>,
    /// The engine keeps the deadline of what it generates; this is for what waits for the scorer.
    deadline: Pin<Box<Sleep>>,
    /// Whether a prompt was blocked, and so all answers are.
    refused: bool,
    // Last: the place is free when all is told.
    _permit: Arc<Permit>,
}

/// The plan of a request, and what is known of its prompts.
pub(super) struct Moderated {
    pub(super) plan: Plan,
    pub(super) prompts: Prompts,
}

/// What is told after the last answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Closing {
    pub(crate) usage: Usage,
    /// If it was asked for.
    pub(crate) moderation: Option<ChatModeration>,
}

impl Run {
    pub(super) fn new(
        slots: Vec<Slot>,
        tally: Tally,
        moderation: Option<Moderated>,
        deadline: Instant,
        permit: Arc<Permit>,
    ) -> Self {
        let deadline = Box::pin(sleep_until(deadline.into()));
        let refused = slots.iter().all(Slot::is_refused);
        Self {
            slots,
            turn: 0,
            tally,
            moderation,
            witness: None,
            deadline,
            refused,
            _permit: permit,
        }
    }

    /// The same, seen by a witness.
    pub(super) fn before(mut self, witness: Option<Witness>) -> Self {
        self.witness = witness;
        self
    }

    /// How many answers there will be.
    pub(crate) fn answers(&self) -> usize {
        self.slots.len()
    }

    /// Whether a prompt was blocked, and so all answers are.
    pub(crate) const fn is_refused(&self) -> bool {
        self.refused
    }

    /// What is told at the end; whole only then.
    pub(crate) fn closing(&self) -> Closing {
        let report = |moderated: &Moderated| {
            let answers: Vec<_> = self.slots.iter().filter_map(Slot::outcome).collect();
            moderated.plan.report(moderated.prompts.outcomes(), &answers)
        };
        Closing { usage: self.tally.usage(), moderation: self.moderation.as_ref().and_then(report) }
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
        let count = self.slots.len();
        let mut live = false;
        for index in (self.turn..count).chain(0..self.turn) {
            let (tally, witness) = (&mut self.tally, &mut self.witness);
            let note = |chunk: &Chunk| {
                tally.note(index, chunk);
                if let Some(witness) = witness {
                    witness.note(index, chunk);
                }
            };
            match self.slots[index].poll_next(context, note) {
                Poll::Pending => live = true,
                Poll::Ready(None) => {}
                Poll::Ready(Some(Ok(piece))) => {
                    self.turn = (index + 1) % count;
                    if let Some(finish) = piece.finish {
                        self.end(index, finish);
                    }
                    return Poll::Ready(Some(Ok((index, piece))));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(self.fail(error)))),
            }
        }
        live |= self.prompts_are_awaited(context);
        if !live {
            self.tally.end();
            return Poll::Ready(None);
        }
        self.deadline.as_mut().poll(context).map(|()| Some(Err(self.fail(EngineError::Deadline))))
    }

    /// An answer has come to its end.
    fn end(&mut self, index: usize, finish: FinishReason) {
        self.tally.finish(index, finish);
        if let Some(witness) = &mut self.witness {
            witness.end(index, finish);
        }
    }

    /// Whether scores of prompts that are to be told are still on their way.
    fn prompts_are_awaited(&mut self, context: &mut Context<'_>) -> bool {
        let prompts = self.moderation.as_mut().map(|moderated| &mut moderated.prompts);
        prompts.is_some_and(|prompts| prompts.poll_known(context).is_pending())
    }

    /// What moderation said, as far as it came.
    fn verdicts(&self) -> Verdicts {
        let Some(moderated) = &self.moderation else { return Verdicts::default() };
        let answers: Vec<_> = self.slots.iter().filter_map(Slot::outcome).collect();
        let prompts = (moderated.prompts.outcomes(), self.refused);
        moderated.plan.verdicts(prompts, (&answers, self.tally.is_cut()))
    }

    fn fail(&mut self, error: EngineError) -> EngineError {
        self.slots.iter_mut().for_each(Slot::cancel);
        self.tally.end();
        error
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let verdicts = self.verdicts();
        self.tally.judge(verdicts);
    }
}

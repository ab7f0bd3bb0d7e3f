//! Moderates one answer while it comes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gateway_toxicity::{Scores, Window, Windows};
use gateway_wire::FinishReason;

use super::hold::Hold;
use super::{Moderation, Outcome, combined};
use crate::generation::Piece;
use crate::scoring::{Record, Ticket};

/// Feeds an answer's windows to the scorer as they are complete. If it blocks, nothing leaves that
/// lies in a window whose scores are not known to be good.
pub(crate) struct Moderator {
    moderation: Arc<Moderation>,
    record: Arc<Record>,
    /// `None` once the text is complete, or nothing more of it counts.
    windows: Option<Windows>,
    cut: usize,
    /// Windows whose scores are waited for, in order.
    pending: VecDeque<Pending>,
    outcome: Outcome,
    duty: Duty,
}

/// A window, and the byte before which its passing settles all text.
struct Pending {
    ticket: Ticket,
    settles: usize,
}

/// What a moderator is there for.
enum Duty {
    /// The metrics are told.
    Observe,
    /// Somebody wants to know the scores, too.
    Report,
    /// Text leaves only when it is settled, and then the finish, once it has come.
    Block { hold: Hold, finish: Option<FinishReason> },
}

impl Moderator {
    /// One that only watches; `reports` if it is to be asked for the outcome.
    pub(super) fn watching(
        moderation: &Arc<Moderation>,
        record: Arc<Record>,
        reports: bool,
    ) -> Self {
        let duty = if reports { Duty::Report } else { Duty::Observe };
        Self::new(moderation, record, duty)
    }

    /// One that holds text back; `stop_bytes` is the length of the longest stop text.
    pub(super) fn blocking(
        moderation: &Arc<Moderation>,
        record: Arc<Record>,
        stop_bytes: usize,
    ) -> Self {
        Self::new(moderation, record, Duty::Block { hold: Hold::new(stop_bytes), finish: None })
    }

    fn new(moderation: &Arc<Moderation>, record: Arc<Record>, duty: Duty) -> Self {
        Self {
            windows: Some(Windows::new(moderation.scoring.scorer().windows())),
            moderation: Arc::clone(moderation),
            record,
            cut: 0,
            pending: VecDeque::new(),
            outcome: Ok(Scores::default()),
            duty,
        }
    }

    /// Takes the next piece, and gives what may leave at once.
    pub(crate) fn take(&mut self, piece: Piece) -> Piece {
        let complete = self.windows.as_mut().map(|windows| windows.push(&piece.text));
        complete.into_iter().flatten().for_each(|window| self.enter(&window));
        if piece.finish.is_some() {
            self.complete();
        }
        let Duty::Block { hold, finish } = &mut self.duty else { return piece };
        hold.add(&piece.text, piece.tokens);
        *finish = piece.finish;
        Piece { prompt: piece.prompt, ..self.end() }
    }

    /// What may leave because scores have come; `None` if none are waited for.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        while let Some(next) = self.pending.front_mut() {
            let Poll::Ready(outcome) = Pin::new(&mut next.ticket).poll(context) else {
                return Poll::Pending;
            };
            let settles = next.settles;
            self.pending.pop_front();
            self.outcome = combined(self.outcome, outcome);
            if let Some(piece) = self.settle(settles, outcome) {
                return Poll::Ready(Some(piece));
            }
        }
        Poll::Ready(None)
    }

    /// What the scorer said of the answer so far; all of it once nothing is waited for.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What may leave after a window has that outcome.
    fn settle(&mut self, settles: usize, outcome: Outcome) -> Option<Piece> {
        let Duty::Block { hold, .. } = &mut self.duty else { return None };
        if let Some(reason) = self.moderation.objection(outcome) {
            self.record.note_blocked(reason);
            self.pending.clear();
            self.windows = None;
            return Some(Piece::filtered());
        }
        let settled = hold.settle(settles);
        Some(settled.and(self.end())).filter(|piece| !piece.is_empty())
    }

    /// All that is left, if the text is complete and no window is waited for.
    fn end(&mut self) -> Piece {
        match &mut self.duty {
            Duty::Block { hold, finish } if finish.is_some() && self.pending.is_empty() => {
                Piece { finish: finish.take(), ..hold.settle_all() }
            }
            Duty::Block { .. } | Duty::Observe | Duty::Report => Piece::default(),
        }
    }

    /// Has the last window scored; a text without words is one empty window.
    fn complete(&mut self) {
        let Some(windows) = self.windows.take() else { return };
        match windows.finish() {
            Some(window) => self.enter(&window),
            None if self.cut == 0 => self.enter_text(String::new(), usize::MAX),
            None => {}
        }
    }

    fn enter(&mut self, window: &Window) {
        self.enter_text(window.text().to_owned(), window.settles());
    }

    fn enter_text(&mut self, text: String, settles: usize) {
        self.cut += 1;
        let ticket = self.moderation.scoring.enter(vec![text], &self.record);
        if !matches!(self.duty, Duty::Observe) {
            self.pending.push_back(Pending { ticket, settles });
        }
    }
}

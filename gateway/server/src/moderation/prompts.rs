//! Moderates the prompts of one request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gateway_toxicity::Scores;

use super::{Outcome, Plan, combined};
use crate::scoring::{Direction, Record, Ticket};
use crate::settings::Mode;

/// What is known of the prompts: each one's outcome, now or later.
pub(crate) enum Prompts {
    /// Nobody wants to know.
    Untold,
    /// Scores are on their way: for each prompt, of all its parts.
    Coming(Vec<(Outcome, Vec<Ticket>)>),
    /// All is known.
    Known(Vec<Outcome>),
}

/// Whether the engine may have the prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Passed,
    Blocked,
}

impl Plan {
    /// Scores the prompts, each made of texts, where that decides whether they pass.
    pub(crate) async fn judge(&self, prompts: &[Vec<String>]) -> Option<(Admission, Prompts)> {
        if self.policy.input != Mode::Block {
            return None;
        }
        let mut admission = Admission::Passed;
        let mut outcomes = Vec::with_capacity(prompts.len());
        for texts in prompts {
            let record = self.record(Direction::Input);
            let outcome = self.judge_prompt(texts, &record).await;
            if let Some(reason) = self.moderation.objection(outcome) {
                record.note_blocked(reason);
                admission = Admission::Blocked;
            }
            outcomes.push(outcome);
        }
        Some((admission, Prompts::Known(outcomes)))
    }

    async fn judge_prompt(&self, texts: &[String], record: &Arc<Record>) -> Outcome {
        let mut outcome = Ok(Scores::default());
        for text in texts {
            outcome = combined(outcome, self.moderation.scoring.score_text(text, record).await);
        }
        outcome
    }

    /// Has the prompts scored while the engine works on them.
    pub(crate) fn watch(&self, prompts: &[Vec<String>]) -> Prompts {
        if self.policy.input != Mode::Score {
            return Prompts::Untold;
        }
        let coming = prompts.iter().map(|texts| {
            let record = self.record(Direction::Input);
            let enter = |text: &String| self.moderation.scoring.enter_text(text, &record);
            (Ok(Scores::default()), texts.iter().flat_map(enter).collect())
        });
        let coming = coming.collect();
        if self.is_told() { Prompts::Coming(coming) } else { Prompts::Untold }
    }
}

impl Prompts {
    /// Whether all is known that anybody wants to know.
    pub(crate) fn poll_known(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Self::Coming(coming) = self else { return Poll::Ready(()) };
        for (outcome, tickets) in coming.iter_mut() {
            while let Some(ticket) = tickets.last_mut() {
                let Poll::Ready(next) = Pin::new(ticket).poll(context) else {
                    return Poll::Pending;
                };
                *outcome = combined(*outcome, next);
                tickets.pop();
            }
        }
        *self = Self::Known(coming.iter().map(|(outcome, _)| *outcome).collect());
        Poll::Ready(())
    }

    /// Each prompt's outcome, as far as it is known.
    pub(crate) fn outcomes(&self) -> &[Outcome] {
        match self {
            Self::Untold | Self::Coming(_) => &[],
            Self::Known(outcomes) => outcomes,
        }
    }
}

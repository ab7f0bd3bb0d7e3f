//! The claim to a job's scores.

use std::pin::Pin;
use std::task::{Context, Poll};

use gateway_toxicity::Scores;
use tokio::sync::oneshot::Receiver;

/// Why a text has no scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScoringError {
    #[error("too much text waits to be scored")]
    Overloaded,
    #[error("the scorer failed")]
    Failed,
}

/// Resolves to the highest scores of a job's windows. Dropping it does not stop the job.
pub(crate) struct Ticket(Receiver<Result<Scores, ScoringError>>);

impl From<Receiver<Result<Scores, ScoringError>>> for Ticket {
    fn from(receiver: Receiver<Result<Scores, ScoringError>>) -> Self {
        Self(receiver)
    }
}

impl Future for Ticket {
    type Output = Result<Scores, ScoringError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // A sender that is gone was the scorer's thread.
        Pin::new(&mut self.0).poll(context).map(|reply| reply.unwrap_or(Err(ScoringError::Failed)))
    }
}

//! What a scripted engine is told to do.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{EngineError, SubmitError};

/// How a scripted engine behaves.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The answer; `None` computes one from the prompt, the adapters and the seed.
    pub reply: Option<String>,
    /// The answer of jobs without adapters, if it is another.
    pub base_reply: Option<String>,
    /// What goes wrong.
    pub failure: Failure,
    /// When tokens may pass; `None` lets all pass.
    pub gate: Option<Gate>,
}

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub enum Failure {
    /// Nothing.
    #[default]
    Never,
    /// Every job is refused.
    AtSubmission(SubmitError),
    /// Every job fails after this many tokens; 0 is before the first.
    AfterTokens(usize, EngineError),
}

/// Lets tokens pass, so many as it was told.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A gate that lets nothing pass yet.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets `tokens` more pass, of all jobs together.
    pub fn open(&self, tokens: usize) {
        self.0.add_permits(tokens);
    }

    /// Waits for one token's turn.
    pub(super) async fn pass(&self) {
        if let Ok(turn) = self.0.acquire().await {
            turn.forget();
        }
    }
}

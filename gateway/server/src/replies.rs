//! From generated tokens to the wire's replies, for each of the two completion APIs.

pub(crate) mod chat;
pub(crate) mod completions;

use gateway_engine::Engine;
use gateway_wire::{Applied, Delivery};

use crate::choice::Choice;
use crate::error::ApiError;
use crate::generation::{Answer, Closing, Frames};
use crate::moderation::Plan;
use crate::{chance, clock};

/// How one of the two APIs writes its replies.
pub(crate) trait Reply: Frames + 'static {
    /// The body of a reply that is not streamed.
    ///
    /// # Errors
    /// If an answer has no end.
    fn whole(&mut self, answers: Vec<Answer>, closing: Closing) -> Result<String, ApiError>;

    /// Leaves out the prompts, because one of them was blocked.
    fn withhold_prompts(&mut self) {}
}

/// What all parts of a reply have in common.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    id: String,
    created: u64,
    model: String,
    fingerprint: String,
    applied: Applied,
}

/// Whether a stream ends with the usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsageChunk {
    Wanted,
    Unwanted,
}

impl UsageChunk {
    pub(crate) const fn of(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Stream { usage: true } => Self::Wanted,
            Delivery::Stream { usage: false } | Delivery::Whole => Self::Unwanted,
        }
    }
}

impl Head {
    /// The reply's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The head of a reply whose id begins with `prefix`.
    pub(crate) fn new(
        prefix: &str,
        engine: &dyn Engine,
        choice: &Choice,
        plan: Option<&Plan>,
    ) -> Self {
        let model = engine.model();
        Self {
            id: format!("{prefix}-{}", chance::id()),
            created: clock::since_epoch().as_secs(),
            model: model.name.clone(),
            fingerprint: model.fingerprint.clone(),
            applied: Applied {
                scorer: plan.map(|plan| plan.scorer().to_owned()),
                ..choice.applied.clone()
            },
        }
    }
}

//! What is done with the texts of one request.

use std::sync::Arc;

use super::{Moderation, Moderator};
use crate::scoring::{Audience, Direction, Record};
use crate::settings::{Mode, ModerationPolicy};
use crate::trace::{Evaluation, Trace};

/// A request's own policy, and whether it wants to be told.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(super) moderation: Arc<Moderation>,
    pub(super) policy: ModerationPolicy,
    /// Whether the reply says what was found.
    pub(super) reports: bool,
    /// The label of the adapter set.
    pub(super) adapters: Arc<str>,
    pub(super) trace: Option<Trace>,
}

impl Plan {
    /// The scorer's version.
    pub(crate) fn scorer(&self) -> &str {
        self.moderation.version()
    }

    /// Whether anybody beside the metrics is told what was found.
    pub(super) fn is_told(&self) -> bool {
        self.reports || self.moderation.audited
    }

    /// Whether the prompts' texts are needed.
    pub(crate) fn reads_prompts(&self) -> bool {
        self.policy.input != Mode::Off
    }

    /// A moderator of one answer, if answers are moderated. The longest stop text has `stop_bytes`.
    pub(crate) fn moderator(&self, stop_bytes: usize) -> Option<Moderator> {
        let record = || self.record(Direction::Output);
        match self.policy.output {
            Mode::Off => None,
            Mode::Score => Some(Moderator::watching(&self.moderation, record(), self.is_told())),
            Mode::Block => Some(Moderator::blocking(&self.moderation, record(), stop_bytes)),
        }
    }

    /// The record of a text of the request.
    pub(super) fn record(&self, direction: Direction) -> Arc<Record> {
        let moderation = &self.moderation;
        let sampled = self.trace.as_ref().filter(|trace| trace.context().is_sampled());
        Record::told(Audience {
            metrics: moderation.metrics.clone(),
            direction,
            adapters: Arc::clone(&self.adapters),
            thresholds: moderation.thresholds,
            scorer: Arc::clone(&moderation.version),
            evaluation: sampled.cloned().map(Evaluation::begin),
        })
    }
}

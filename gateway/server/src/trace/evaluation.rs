//! The span of a text's scoring, with its scores as the conventions for generative AI have them.

use std::num::NonZeroU128;
use std::time::{Duration, Instant};

use super::span::{Attributes, Event, Kind, Parent, Span};
use super::{Trace, span_id};
use crate::clock;

/// A text of a request that is being scored.
#[derive(Debug, Clone)]
pub(crate) struct Evaluation {
    trace: Trace,
    began: Instant,
}

/// What the scorer said of one category.
pub(crate) struct Score {
    pub(crate) category: &'static str,
    pub(crate) value: f32,
    pub(crate) flagged: bool,
}

impl Evaluation {
    /// Of a text that comes from now on.
    pub(crate) fn begin(trace: Trace) -> Self {
        Self { trace, began: clock::now() }
    }

    /// The trace's id, if the trace is sampled.
    pub(crate) fn sampled(&self) -> Option<NonZeroU128> {
        self.trace.sampled()
    }

    /// All of the text is scored; `direction` says whether it is a prompt or an answer.
    ///
    /// It has a span of its own, since nobody waits for scores that are only watched: they may come
    /// when the answer's span has been exported.
    pub(crate) fn end(
        &self,
        direction: &'static str,
        scorer: &str,
        scores: impl Iterator<Item = Score>,
    ) {
        let Some(recording) = &self.trace.recording else { return };
        let ended = recording.at(clock::now());
        let mut attributes = Attributes::default();
        attributes.set("lethe.direction", direction);
        attributes.set("lethe.scorer", scorer.to_owned());
        recording.exporter.send(Span {
            name: format!("score {direction}"),
            kind: Kind::Internal,
            place: self.trace.context.at(span_id()),
            parent: Parent::Here(self.trace.context.span_id()),
            began: recording.at(self.began),
            ended,
            attributes,
            events: scores.map(|score| score.event(ended)).collect(),
            failed: false,
        });
    }
}

impl Score {
    fn event(self, at: Duration) -> Event {
        let mut attributes = Attributes::default();
        attributes.set("gen_ai.evaluation.name", self.category);
        // Six digits tell all that a score can, and 0.9 is not 0.8999999761581421.
        let value = (f64::from(self.value) * 1e6).round() / 1e6;
        attributes.set("gen_ai.evaluation.score.value", value);
        let label = if self.flagged { "flagged" } else { "passed" };
        attributes.set("gen_ai.evaluation.score.label", label);
        Event { name: "gen_ai.evaluation.result", at, attributes }
    }
}

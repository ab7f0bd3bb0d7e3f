//! What has been scored of one text.

use std::sync::{Arc, Mutex, PoisonError};

use gateway_toxicity::{Category, Scores};

use crate::metrics::Metrics;
use crate::trace::{Evaluation, Score};

/// Which way a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Input,
    Output,
}

/// Who is told the scores of a text, and as what.
#[derive(Clone)]
pub(crate) struct Audience {
    pub(crate) metrics: Metrics,
    pub(crate) direction: Direction,
    /// The label of the adapter set.
    pub(crate) adapters: Arc<str>,
    pub(crate) thresholds: Scores,
    pub(crate) scorer: Arc<str>,
    /// If the trace is sampled.
    pub(crate) evaluation: Option<Evaluation>,
}

/// The highest scores of a text so far. The metrics are told when nobody holds it any more, once,
/// however the text came to its end.
pub(crate) struct Record {
    highest: Mutex<Option<Scores>>,
    audience: Option<Audience>,
}

impl Direction {
    /// Its word in labels.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

impl Record {
    /// Of a text that the metrics are told of.
    pub(crate) fn told(audience: Audience) -> Arc<Self> {
        Arc::new(Self { highest: Mutex::default(), audience: Some(audience) })
    }

    /// Of a text that is nobody's prompt or answer.
    pub(crate) fn untold() -> Arc<Self> {
        Arc::new(Self { highest: Mutex::default(), audience: None })
    }

    /// Counts and logs that the text was blocked.
    pub(crate) fn note_blocked(&self, reason: &str) {
        let Some(audience) = &self.audience else { return };
        let direction = audience.direction.as_str();
        tracing::info!(direction, reason, "a text is blocked");
        let labels = [direction, reason, &*audience.adapters];
        audience.metrics.moderation_blocked.with_label_values(&labels).inc();
    }

    pub(super) fn add(&self, scores: &Scores) {
        let mut highest = self.highest.lock().unwrap_or_else(PoisonError::into_inner);
        *highest = Some(highest.unwrap_or_default().max(scores));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let highest = *self.highest.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let (Some(audience), Some(scores)) = (&self.audience, highest) {
            audience.tell(&scores);
        }
    }
}

impl Audience {
    fn tell(&self, scores: &Scores) {
        let (direction, adapters) = (self.direction.as_str(), &*self.adapters);
        let sampled = self.evaluation.as_ref().and_then(Evaluation::sampled);
        for (category, score) in scores.iter() {
            let labels = [direction, category.name(), adapters, &*self.scorer];
            self.metrics.toxicity_score.observe(&labels, f64::from(score), sampled);
        }
        for category in scores.flagged(&self.thresholds) {
            let labels = [direction, category.name(), adapters];
            self.metrics.moderation_flagged.with_label_values(&labels).inc();
        }
        if let Some(evaluation) = &self.evaluation {
            let flagged = |category| scores.flagged(&self.thresholds).any(|one| one == category);
            let score = |(category, value): (Category, f32)| Score {
                category: category.name(),
                value,
                flagged: flagged(category),
            };
            evaluation.end(direction, &self.scorer, scores.iter().map(score));
        }
    }
}

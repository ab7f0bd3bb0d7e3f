//! Shadow runs: what a request's adapters changed.
//!
//! Of a sampled share of the requests that use adapters, the same prompt and seed run again on the
//! base model, and the metrics are told how the two answers differ: in toxicity, in length, and
//! in how likely the model held what it said. Runs wait in a short queue and are made one at a
//! time, as background jobs of the engine, which give way to all others.
//!
//! **Invariant:** nothing of a shadow run leaves the process but numbers, and no request is
//! answered differently, or later than by one background step, because of one.

mod difference;
mod original;
mod witness;
mod worker;

use std::sync::Arc;

use gateway_engine::{Engine, Job};
use tokio::sync::mpsc::{Sender, channel};

use crate::chance;
use crate::metrics::Metrics;
use crate::moderation::Moderation;
use crate::settings::ShadowSettings;

pub(crate) use witness::Witness;

use original::Original;
use witness::Case;
use worker::Worker;

/// The way to shadow runs.
pub(crate) struct Shadow {
    rate: f64,
    queue: Sender<Case>,
    metrics: Metrics,
}

/// How a sampled run ended; the labels of `lethe_shadow_runs_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The metrics know the difference.
    Compared,
    /// Requests waited for the engine, or too many runs for their turn.
    Dropped,
    /// Its time passed while it gave way to requests.
    Expired,
    /// The engine or the scorer failed.
    Failed,
}

impl Shadow {
    /// Starts the thread that makes the runs, if any are wanted; it ends with the last handle.
    ///
    /// # Errors
    /// If there can be no thread.
    pub(crate) fn start(
        settings: ShadowSettings,
        engine: &Arc<dyn Engine>,
        moderation: &Arc<Moderation>,
        metrics: &Metrics,
    ) -> std::io::Result<Option<Arc<Self>>> {
        if settings.rate <= 0.0 {
            return Ok(None);
        }
        let (queue, cases) = channel(settings.queue_runs);
        let worker = Worker::new(settings.deadline, engine, moderation, metrics);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new()
            .name("shadow".to_owned())
            .spawn(move || runtime.block_on(worker.run(cases)))?;
        Ok(Some(Arc::new(Self { rate: settings.rate, queue, metrics: metrics.clone() })))
    }

    /// Who watches the answer to `job`, if it is to be compared with the base model's.
    pub(crate) fn sample(self: &Arc<Self>, job: &Job, adapters: &Arc<str>) -> Option<Witness> {
        let changed = !job.adapters.entries().is_empty();
        (changed && chance::unit() < self.rate)
            .then(|| Witness::new(Arc::clone(self), Original::of(job), Arc::clone(adapters)))
    }

    /// Enters a run, if there is room.
    fn enter(&self, case: Case) {
        if self.queue.try_send(case).is_err() {
            self.metrics.count_shadow(Outcome::Dropped);
        }
    }
}

impl Metrics {
    fn count_shadow(&self, outcome: Outcome) {
        self.shadow_runs.with_label_values(&[outcome.as_str()]).inc();
    }
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Compared => "compared",
            Self::Dropped => "dropped",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }
}

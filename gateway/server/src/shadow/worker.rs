//! The thread that makes shadow runs, one at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_engine::{
    Admission, Divergence, Engine, EngineError, Generation, Job, Permit, SubmitError,
};
use tokio::sync::mpsc::Receiver;

use super::Outcome;
use super::difference::{Difference, Judged};
use super::witness::{Answer, Case};
use crate::clock;
use crate::metrics::Metrics;
use crate::moderation::Moderation;

/// What the thread owns.
pub(super) struct Worker {
    /// From an answer's end to the end of its run.
    deadline: Duration,
    engine: Arc<dyn Engine>,
    moderation: Arc<Moderation>,
    metrics: Metrics,
    /// Its own: no request's place is taken.
    admission: Admission,
}

/// What the engine said to a job.
#[derive(Default)]
struct Reply {
    answer: Answer,
    divergence: Option<Divergence>,
}

impl Worker {
    pub(super) fn new(
        deadline: Duration,
        engine: &Arc<dyn Engine>,
        moderation: &Arc<Moderation>,
        metrics: &Metrics,
    ) -> Self {
        Self {
            deadline,
            engine: Arc::clone(engine),
            moderation: Arc::clone(moderation),
            metrics: metrics.clone(),
            admission: Admission::new(1),
        }
    }

    /// Makes runs until none can be entered any more.
    pub(super) async fn run(self, mut cases: Receiver<Case>) {
        while let Some(case) = cases.recv().await {
            let outcome = match self.compare(case).await {
                Ok(()) => Outcome::Compared,
                Err(outcome) => outcome,
            };
            self.metrics.count_shadow(outcome);
        }
    }

    async fn compare(&self, case: Case) -> Result<(), Outcome> {
        // The queue is long enough without a job that nobody waits for.
        if self.engine.status().waiting > 0 {
            return Err(Outcome::Dropped);
        }
        let deadline = case.entered + self.deadline;
        if deadline <= clock::now() {
            return Err(Outcome::Expired);
        }
        let permit = Arc::new(self.admission.admit().map_err(|_| Outcome::Dropped)?);
        let base = self.ask(case.original.on_base(deadline, &permit)).await?.answer;
        let divergence = self.divergence(&case, deadline, &permit).await?;
        let difference = Difference {
            adapted: self.judge(case.answer).await?,
            base: self.judge(base).await?,
            divergence,
        };
        difference.tell(&self.metrics, &case.adapters, self.moderation.version());
        Ok(())
    }

    async fn divergence(
        &self,
        case: &Case,
        deadline: Instant,
        permit: &Arc<Permit>,
    ) -> Result<Option<Divergence>, Outcome> {
        let tokens = &case.answer.tokens;
        if tokens.is_empty() {
            return Ok(None);
        }
        let job = case.original.along(tokens, deadline, permit);
        match self.engine.submit(job) {
            Ok(generation) => Ok(read(generation).await?.divergence),
            // Engines that see no distributions have the other numbers all the same.
            Err(SubmitError::Unsupported(_)) => Ok(None),
            Err(_) => Err(Outcome::Failed),
        }
    }

    async fn ask(&self, job: Job) -> Result<Reply, Outcome> {
        let generation = self.engine.submit(job).map_err(|_| Outcome::Failed)?;
        read(generation).await
    }

    async fn judge(&self, answer: Answer) -> Result<Judged, Outcome> {
        let scores = self.moderation.scores(&answer.text).await.map_err(|_| Outcome::Failed)?;
        Ok(Judged { answer, scores })
    }
}

async fn read(generation: Generation) -> Result<Reply, Outcome> {
    collect(generation).await.map_err(|error| match error {
        EngineError::Deadline => Outcome::Expired,
        EngineError::ShuttingDown => Outcome::Dropped,
        EngineError::Grammar(_)
        | EngineError::Unavailable(_)
        | EngineError::Upstream(_)
        | EngineError::Refused(_)
        | EngineError::Internal(_) => Outcome::Failed,
    })
}

async fn collect(mut generation: Generation) -> Result<Reply, EngineError> {
    let mut reply = Reply::default();
    while let Some(chunk) = generation.next().await {
        let chunk = chunk?;
        reply.answer.add(&chunk);
        reply.divergence = reply.divergence.or(chunk.divergence);
    }
    Ok(reply)
}

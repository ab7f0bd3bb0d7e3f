//! The scorer's thread.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use gateway_toxicity::{ScoreError, Scorer, Scores};
use tokio::sync::oneshot::Sender;

use super::{JOB_WINDOWS, Record, ScoringError};
use crate::clock;
use crate::metrics::Metrics;

/// Windows of one text.
pub(super) struct Job {
    pub(super) windows: Vec<String>,
    pub(super) record: Arc<Record>,
    pub(super) reply: Sender<Result<Scores, ScoringError>>,
    pub(super) entered: Instant,
}

/// What the thread owns.
pub(super) struct Worker {
    pub(super) scorer: Arc<dyn Scorer>,
    pub(super) jobs: Receiver<Job>,
    pub(super) metrics: Metrics,
}

impl Worker {
    /// Scores until nobody can enter a job any more.
    pub(super) fn run(self) {
        stand_back();
        while let Ok(first) = self.jobs.recv() {
            let batch = self.gather(first);
            self.score(batch);
        }
    }

    /// The job and those that wait behind it, up to about a job's size.
    fn gather(&self, first: Job) -> Vec<Job> {
        let mut windows = first.windows.len();
        let mut batch = vec![first];
        while windows < JOB_WINDOWS
            && let Ok(job) = self.jobs.try_recv()
        {
            windows += job.windows.len();
            batch.push(job);
        }
        for job in &batch {
            self.metrics.scorer_waiting.dec();
            let seconds = job.entered.elapsed().as_secs_f64();
            self.metrics.scorer_queue_seconds.with_label_values::<&str>(&[]).observe(seconds);
        }
        batch
    }

    /// Answers every job; if the batch fails, each by itself.
    fn score(&self, batch: Vec<Job>) {
        match self.highest(&batch) {
            Ok(highest) => {
                for (job, scores) in batch.into_iter().zip(highest) {
                    job.answer(Ok(scores));
                }
            }
            Err(_) if batch.len() > 1 => batch.into_iter().for_each(|job| self.score(vec![job])),
            Err(error) => {
                tracing::error!(%error, "a text is not scored");
                for job in batch {
                    self.metrics.count_unscored(ScoringError::Failed);
                    job.answer(Err(ScoringError::Failed));
                }
            }
        }
    }

    /// The highest scores of each job's windows.
    fn highest(&self, batch: &[Job]) -> Result<Vec<Scores>, ScoreError> {
        let windows: Vec<&str> =
            batch.iter().flat_map(|job| &job.windows).map(String::as_str).collect();
        let started = clock::now();
        let scored = self.scorer.score(&windows);
        let seconds = started.elapsed().as_secs_f64();
        self.metrics.scorer_seconds.with_label_values::<&str>(&[]).observe(seconds);
        let scores = scored?;
        let sane = |scores: &Scores| scores.iter().all(|(_, score)| score.is_finite());
        if scores.len() != windows.len() || !scores.iter().all(sane) {
            return Err(ScoreError("it gave no scores".to_owned()));
        }
        self.metrics.scorer_windows.inc_by(windows.len() as u64);
        let mut rest = &scores[..];
        let highest = |job: &Job| {
            let (own, others) = rest.split_at(job.windows.len());
            rest = others;
            own.iter().fold(Scores::default(), |highest, scores| highest.max(scores))
        };
        Ok(batch.iter().map(highest).collect())
    }
}

impl Job {
    /// Tells the record, and whoever waits.
    pub(super) fn answer(self, scores: Result<Scores, ScoringError>) {
        if let Ok(scores) = &scores {
            self.record.add(scores);
        }
        // The record is let go first: whoever waits may look at the metrics.
        drop(self.record);
        // Nobody may wait any more.
        let _ = self.reply.send(scores);
    }
}

/// Lets the engine's threads go first: on all cores at once they compute a step together, and one
/// that has to share its core with the scorer keeps the others waiting.
#[cfg(target_os = "linux")]
fn stand_back() {
    /// A ninth of a core while others want it.
    const NICE: i32 = 10;
    // On Linux this is the thread's own priority, not the process'.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "the scorer's thread keeps its priority");
    }
}

/// Other systems have no priority of a thread that any user may lower.
#[cfg(not(target_os = "linux"))]
const fn stand_back() {}

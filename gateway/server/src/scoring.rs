//! Scores texts on a thread of their own, so that neither the engine nor a worker ever waits.
//!
//! Texts come as jobs of a few windows through a bounded queue and are scored in batches of
//! whatever waits. A job for which there is no room is dropped and counted. Scores go two ways: to
//! the text's [`Record`], which tells the metrics, and through a [`Ticket`] to whoever waits.
//!
//! **Invariant:** what a job is answered does not depend on the other jobs of its batch, not even
//! if one of them makes the scorer fail.

mod record;
mod ticket;
mod worker;

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use gateway_toxicity::{Scorer, Scores, Window};
use tokio::sync::oneshot;

use crate::clock;
use crate::metrics::Metrics;

pub(crate) use record::{Audience, Direction, Record};
pub(crate) use ticket::{ScoringError, Ticket};

use worker::{Job, Worker};

/// The most windows in a job, and about as many in a batch.
const JOB_WINDOWS: usize = 64;

/// The way to the scorer.
pub(crate) struct Scoring {
    scorer: Arc<dyn Scorer>,
    queue: SyncSender<Job>,
    metrics: Metrics,
}

impl Scoring {
    /// Starts the thread; it ends with the last handle. `capacity` jobs may wait.
    ///
    /// # Errors
    /// If there can be no thread.
    pub(crate) fn start(
        scorer: Arc<dyn Scorer>,
        capacity: usize,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(capacity);
        let worker = Worker { scorer: Arc::clone(&scorer), jobs, metrics: metrics.clone() };
        std::thread::Builder::new().name("scorer".to_owned()).spawn(move || worker.run())?;
        Ok(Self { scorer, queue, metrics })
    }

    /// The scorer behind it.
    pub(crate) fn scorer(&self) -> &dyn Scorer {
        &*self.scorer
    }

    /// Enters one job, without waiting for room.
    pub(crate) fn enter(&self, windows: Vec<String>, record: &Arc<Record>) -> Ticket {
        let (reply, ticket) = oneshot::channel();
        let job = Job { windows, record: Arc::clone(record), reply, entered: clock::now() };
        self.metrics.scorer_waiting.inc();
        if let Err(error) = self.queue.try_send(job) {
            self.metrics.scorer_waiting.dec();
            let (job, error) = match error {
                TrySendError::Full(job) => (job, ScoringError::Overloaded),
                TrySendError::Disconnected(job) => (job, ScoringError::Failed),
            };
            self.metrics.count_unscored(error);
            job.answer(Err(error));
        }
        ticket.into()
    }

    /// Enters a text of any length at once.
    pub(crate) fn enter_text(&self, text: &str, record: &Arc<Record>) -> Vec<Ticket> {
        self.jobs(text).into_iter().map(|windows| self.enter(windows, record)).collect()
    }

    /// Scores a text of any length, job by job, so that others have their turn in between.
    ///
    /// # Errors
    /// [`ScoringError`] of the first job that is not scored.
    pub(crate) async fn score_text(
        &self,
        text: &str,
        record: &Arc<Record>,
    ) -> Result<Scores, ScoringError> {
        let mut highest = Scores::default();
        for windows in self.jobs(text) {
            highest = highest.max(&self.enter(windows, record).await?);
        }
        Ok(highest)
    }

    /// The windows of a text, in jobs; an empty one if it has no word.
    fn jobs(&self, text: &str) -> Vec<Vec<String>> {
        let cut = self.scorer.windows().cut(text);
        if cut.is_empty() {
            return vec![vec![String::new()]];
        }
        let own = |window: &Window| window.text().to_owned();
        cut.chunks(JOB_WINDOWS).map(|job| job.iter().map(own).collect()).collect()
    }
}

impl Metrics {
    fn count_unscored(&self, error: ScoringError) {
        match error {
            ScoringError::Overloaded => self.scorer_dropped.inc(),
            ScoringError::Failed => self.scorer_failed.inc(),
        }
    }
}

//! The thread that writes: off the path of requests, many records at a time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use super::event::Event;
use super::log_file::LogFile;
use crate::clock;
use crate::metrics::Metrics;

/// How much may wait for the disk, whatever the time.
const MAX_UNSYNCED_BYTES: usize = 1 << 20;

/// The least time between two tries of a disk that fails.
const MIN_RETRY: Duration = Duration::from_millis(5);

/// What the thread is told.
pub(super) enum Message {
    Record(Entry),
    /// Nothing more comes.
    Close,
}

/// A record on its way.
pub(super) struct Entry {
    pub(super) event: Event,
    /// Since 1970.
    pub(super) at: Duration,
    /// Given back once the record is in the file.
    pub(super) place: OwnedSemaphorePermit,
    /// Told once it is on the disk, and dropped if it cannot be brought there now.
    pub(super) synced: Option<SyncSender<()>>,
}

/// Writes what comes.
pub(super) struct Writer {
    log: LogFile,
    messages: Receiver<Message>,
    shared: Arc<Shared>,
    metrics: Metrics,
    /// The longest time that a record may wait for the disk.
    sync: Duration,
    /// Of records that are not in the file.
    places: Vec<OwnedSemaphorePermit>,
    waiting: Vec<SyncSender<()>>,
    /// Since when something has not been on the disk.
    unsynced: Option<Instant>,
}

impl Writer {
    /// Writes to `log` what `messages` bring.
    pub(super) fn new(
        log: LogFile,
        messages: Receiver<Message>,
        shared: Arc<Shared>,
        metrics: Metrics,
        sync: Duration,
    ) -> Self {
        let (places, waiting) = Default::default();
        Self { log, messages, shared, metrics, sync, places, waiting, unsynced: None }
    }

    #[cfg(test)]
    pub(super) fn log_mut(&mut self) -> &mut LogFile {
        &mut self.log
    }

    /// What [`Self::run`] does again and again.
    #[cfg(test)]
    pub(super) fn step(&mut self) {
        if self.take() {
            self.flush(true);
        }
    }

    /// Until it is told that nothing more comes.
    pub(super) fn run(mut self) {
        loop {
            let open = self.take();
            if !open {
                self.log.push(&Event::Stopped {}, clock::since_epoch());
                self.waiting.clear();
            }
            self.flush(open);
            if !open {
                return self.end();
            }
        }
    }

    /// Takes what has come, waiting for it until there is something to do; `false` at the end.
    fn take(&mut self) -> bool {
        let first = match self.patience() {
            None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(patience) => self.messages.recv_timeout(patience),
        };
        let mut next = match first {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        loop {
            let Message::Record(entry) = next else { return false };
            self.enter(entry);
            if self.log.unsynced_bytes() >= MAX_UNSYNCED_BYTES {
                return true;
            }
            next = match self.messages.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            };
        }
    }

    /// How long nothing need be done if nothing comes; `None` is for ever.
    fn patience(&self) -> Option<Duration> {
        if self.shared.failing.load(Ordering::Relaxed) {
            return Some(self.sync.max(MIN_RETRY));
        }
        if self.shared.lost.load(Ordering::Relaxed) > 0 {
            return Some(Duration::ZERO);
        }
        self.unsynced.map(|since| self.sync.saturating_sub(since.elapsed()))
    }

    fn enter(&mut self, entry: Entry) {
        if self.log.push(&entry.event, entry.at) {
            self.metrics.audit_records.inc();
        } else {
            self.shared.lose();
        }
        self.places.push(entry.place);
        self.waiting.extend(entry.synced);
        self.unsynced.get_or_insert_with(clock::now);
    }

    /// Writes, syncs if that is due, and tells all who want to know how it went.
    fn flush(&mut self, open: bool) {
        self.note_gap();
        if self.log.unsynced_bytes() > 0 {
            self.unsynced.get_or_insert_with(clock::now);
        }
        let due = !open
            || !self.waiting.is_empty()
            || self.unsynced.is_some_and(|since| since.elapsed() >= self.sync)
            || self.log.unsynced_bytes() >= MAX_UNSYNCED_BYTES;
        match self.bring(due) {
            Ok(()) => self.recover(),
            Err(error) => self.fail(&error),
        }
    }

    fn bring(&mut self, due: bool) -> io::Result<()> {
        self.log.write()?;
        self.places.clear();
        if !due {
            return Ok(());
        }
        self.log.sync()?;
        self.unsynced = None;
        // Who waits no longer need not be told.
        for synced in self.waiting.drain(..) {
            let _ = synced.send(());
        }
        self.metrics.audit_synced.set(clock::since_epoch().as_secs_f64());
        if let Err(error) = self.log.rotate_if_due() {
            let reason = error.kind();
            tracing::error!(%reason, "the audit log cannot go on in a new file; it stays in this one");
        }
        Ok(())
    }

    /// A record in place of those that were lost, once it can be written.
    fn note_gap(&mut self) {
        if self.shared.failing.load(Ordering::Relaxed) {
            return;
        }
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.log.push(&Event::Gap { lost }, clock::since_epoch());
        }
    }

    fn recover(&mut self) {
        if self.shared.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the audit log can be written again");
        }
        self.metrics.audit_failing.set(0);
    }

    fn fail(&mut self, error: &io::Error) {
        self.waiting.clear();
        self.metrics.audit_failing.set(1);
        if !self.shared.failing.swap(true, Ordering::Relaxed) {
            let reason = error.kind();
            tracing::error!(%reason, "the audit log cannot be written");
        }
    }

    fn end(self) {
        let position = self.log.position();
        if self.shared.failing.load(Ordering::Relaxed) {
            tracing::error!(bytes = self.log.unsynced_bytes(), "the end of the audit log is lost");
        } else {
            tracing::info!(records = position.sequence, last = %position.link, "audit log closed");
        }
    }
}

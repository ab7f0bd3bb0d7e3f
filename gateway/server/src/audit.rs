//! The audit log: who had what done, in a file that shows whether it was changed afterwards.
//!
//! One line for each request that reached generation or was refused because of its key, for each
//! change of adapters, made or refused, and for each of keys
//! ([why](../../../docs/adr/0012-audit-log.md)). A request takes a place before anything is done for
//! it, and fills it at its end; a thread writes. So there is never more in memory than there are
//! places, and where `audit.on_failure` is `closed`, nothing is done that would not be written down.
//!
//! **Invariant:** a line is never changed, and no text of a prompt or an answer is in one.

mod chain;
mod command;
mod event;
mod log_file;
mod scan;
#[cfg(test)]
mod tests;
mod writer;

use std::io::BufReader;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use prometheus::IntCounter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock;
use crate::error::{ApiError, Code};
use crate::metrics::Metrics;
use crate::settings::{AuditSettings, OnFailure};

pub use chain::{Fault, Link, Position};
pub use command::{AuditCommand, AuditCommandError};
pub use log_file::AuditError;
pub use scan::ScanError;

pub(crate) use event::{
    AdapterChange, AdapterRefusal, Change, Event, Generated, KeysChange, Loaded, Request, Verdict,
    Verdicts,
};

use log_file::LogFile;
use writer::{Entry, Message, Writer};

/// The log of a gateway, if it keeps one.
#[derive(Debug)]
pub(crate) struct Audit(Option<Open>);

#[derive(Debug)]
struct Open {
    sender: mpsc::Sender<Message>,
    places: Arc<Semaphore>,
    shared: Arc<Shared>,
    on_failure: OnFailure,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread tells.
#[derive(Debug)]
struct Shared {
    failing: AtomicBool,
    /// Records since the last gap that the log tells of.
    lost: AtomicU64,
    lost_total: IntCounter,
}

impl Shared {
    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        self.lost_total.inc();
    }
}

/// A place for one record. Dropped, it is free again.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<Taken>);

#[derive(Debug)]
struct Taken {
    sender: mpsc::Sender<Message>,
    shared: Arc<Shared>,
    /// `None` if there was none: a record is lost then.
    permit: Option<OwnedSemaphorePermit>,
}

impl Audit {
    /// Opens the log, if the settings name one, and begins to write.
    ///
    /// # Errors
    /// [`AuditError`] if it cannot be written to, or its chain is broken.
    pub(crate) fn start(settings: &AuditSettings, metrics: &Metrics) -> Result<Self, AuditError> {
        let Some(path) = &settings.file else { return Ok(Self(None)) };
        let (mut log, cut_bytes) = LogFile::open(path, settings.rotate_bytes)?;
        let now = clock::since_epoch();
        if cut_bytes > 0 {
            tracing::warn!(cut_bytes, "the audit log's unfinished last line was taken away");
            log.push(&Event::Recovered { cut_bytes }, now);
        }
        log.push(&Event::Started { version: env!("CARGO_PKG_VERSION") }, now);
        log.write().and_then(|()| log.sync()).map_err(AuditError::Open)?;
        metrics.audit_synced.set(now.as_secs_f64());
        let position = log.position();
        tracing::info!(records = position.sequence, last = %position.link, "audit log opened");
        let (open, writer) = Open::new(log, settings, metrics);
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let thread = thread.spawn(move || writer.run()).map_err(AuditError::Thread)?;
        Ok(Self(Some(Open { thread: Mutex::new(Some(thread)), ..open })))
    }

    /// Whether there is a log.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether requests are refused because of the log.
    pub(crate) fn refuses(&self) -> bool {
        self.0.as_ref().is_some_and(|open| {
            open.on_failure == OnFailure::Closed && open.shared.failing.load(Ordering::Relaxed)
        })
    }

    /// A place for the record of a request.
    ///
    /// # Errors
    /// [`Code::AuditUnavailable`] if there is none, or it could not be written, and that is not to
    /// be put up with.
    pub(crate) fn reserve(&self) -> Result<Place, ApiError> {
        let Some(open) = &self.0 else { return Ok(Place(None)) };
        let place = open.place();
        let missing = place.0.as_ref().is_some_and(|taken| taken.permit.is_none());
        if self.refuses() || (missing && open.on_failure == OnFailure::Closed) {
            let message = "requests are not answered while they cannot be recorded";
            return Err(ApiError::new(Code::AuditUnavailable, message));
        }
        Ok(place)
    }

    /// A place for the record of something that is done whether it can be recorded or not.
    pub(crate) fn place(&self) -> Place {
        self.0.as_ref().map(Open::place).unwrap_or_default()
    }

    /// Records what nobody has asked for.
    pub(crate) fn record(&self, event: Event) {
        self.place().fill(event);
    }

    /// Writes what is left and ends the log; records that come later are lost.
    pub(crate) fn close(&self) {
        let Some(open) = &self.0 else { return };
        let thread = open.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A thread that has ended hears nothing.
        let _ = open.sender.send(Message::Close);
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Open {
    /// The near end of a log, and what has still to run at the far one.
    fn new(log: LogFile, settings: &AuditSettings, metrics: &Metrics) -> (Self, Writer) {
        let (sender, messages) = mpsc::channel();
        let lost_total = metrics.audit_lost.clone();
        let (failing, lost) = Default::default();
        let shared = Arc::new(Shared { failing, lost, lost_total });
        let (to_write, metrics) = (Arc::clone(&shared), metrics.clone());
        let writer = Writer::new(log, messages, to_write, metrics, settings.sync);
        let open = Self {
            sender,
            places: Arc::new(Semaphore::new(settings.queue_records)),
            shared,
            on_failure: settings.on_failure,
            thread: Mutex::default(),
        };
        (open, writer)
    }

    fn place(&self) -> Place {
        Place(Some(Taken {
            sender: self.sender.clone(),
            shared: Arc::clone(&self.shared),
            permit: Arc::clone(&self.places).try_acquire_owned().ok(),
        }))
    }
}

impl Place {
    /// Has `event` recorded, some time soon.
    pub(crate) fn fill(self, event: Event) {
        self.enter(event, None);
    }

    /// Has `event` recorded, and blocks until it is on the disk, or cannot be brought there now.
    pub(crate) fn fill_and_wait(self, event: Event) {
        let (sender, synced) = mpsc::sync_channel(1);
        self.enter(event, Some(sender));
        // The sender goes if the record cannot be brought there.
        let _ = synced.recv();
    }

    fn enter(self, event: Event, synced: Option<mpsc::SyncSender<()>>) {
        let Some(taken) = self.0 else { return };
        let Some(place) = taken.permit else { return taken.shared.lose() };
        let entry = Entry { event, at: clock::since_epoch(), place, synced };
        if taken.sender.send(Message::Record(entry)).is_err() {
            taken.shared.lose();
        }
    }
}

/// Checks the log that the settings name, if there is one yet, without changing it.
///
/// # Errors
/// If it is broken or cannot be read.
pub fn check(settings: &AuditSettings) -> Result<(), ScanError> {
    let Some(path) = &settings.file else { return Ok(()) };
    check_file(path)
}

fn check_file(path: &Path) -> Result<(), ScanError> {
    match std::fs::File::open(path) {
        Ok(file) => scan::scan(BufReader::new(file), |_| {}).map(drop),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A time since 1970 as RFC 3339 has it, in milliseconds.
fn time(at: Duration) -> String {
    let nanos = i128::try_from(at.as_millis()).unwrap_or(0) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos);
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

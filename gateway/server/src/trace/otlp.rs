//! Exports spans by
//! [OTLP over HTTP](https://opentelemetry.io/docs/specs/otlp/#otlphttp), from a thread of its own.
//!
//! Spans come through a bounded queue, into which nobody waits to enter. What finds no room, or
//! cannot be delivered, is lost and counted.

mod message;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::Context as _;
use prometheus::IntCounterVec;
use tokio::sync::{Notify, mpsc, watch};

use super::span::Span;
use crate::metrics::Metrics;
use worker::{BATCH, Worker};

/// Spans that may wait.
const QUEUE: usize = 2_048;

/// The way to the thread.
#[derive(Debug, Clone)]
pub(crate) struct Exporter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: mpsc::Sender<Span>,
    /// Told when a whole batch waits.
    full: Arc<Notify>,
    closing: watch::Sender<bool>,
    spans: IntCounterVec,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    /// Starts the thread, which exports to `endpoint` under the name `service`.
    ///
    /// # Errors
    /// If there can be no thread or no HTTP client.
    pub(crate) fn start(endpoint: &str, service: &str, metrics: &Metrics) -> anyhow::Result<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (closing, closed) = watch::channel(false);
        let spans = metrics.trace_spans.clone();
        // Known from the beginning, so that the first one that is lost is an increase.
        for outcome in ["exported", "failed", "dropped"] {
            spans.with_label_values(&[outcome]);
        }
        let full = Arc::new(Notify::new());
        let ways = (waiting, closed, Arc::clone(&full));
        let worker = Worker::new(endpoint, service, ways, spans.clone())
            .context("spans cannot be exported")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("otlp".to_owned());
        let thread = thread.spawn(move || runtime.block_on(worker.run()))?;
        let thread = Mutex::new(Some(thread));
        Ok(Self(Arc::new(Shared { queue, full, closing, spans, thread })))
    }

    /// Has a span exported, some time soon.
    pub(super) fn send(&self, span: Span) {
        if self.0.queue.try_send(span).is_err() {
            self.0.spans.with_label_values(&["dropped"]).inc();
        } else if self.0.queue.capacity() + BATCH <= QUEUE {
            self.0.full.notify_one();
        }
    }

    /// Exports what waits, as far as that is possible soon, and ends.
    pub(crate) fn close(&self) {
        self.0.closing.send_replace(true);
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that exports spans panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use gateway_engine::TraceContext;
    use prometheus::Registry;

    use super::super::span::{Attributes, Kind, Parent};
    use super::*;

    fn span() -> Span {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        Span {
            name: "a".to_owned(),
            kind: Kind::Internal,
            place: TraceContext::parse(parent).expect("a place"),
            parent: Parent::None,
            began: Duration::ZERO,
            ended: Duration::ZERO,
            attributes: Attributes::default(),
            events: Vec::new(),
            failed: false,
        }
    }

    #[test]
    fn spans_for_which_there_is_no_room_are_dropped_and_counted() {
        // It takes connections and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", silent.local_addr().expect("bound"));
        let metrics = Metrics::new(&Registry::new()).expect("metrics");
        let exporter = Exporter::start(&endpoint, "a", &metrics).expect("started");
        // One batch may be under way.
        let room = QUEUE + BATCH;
        for _ in 0..2 * room {
            exporter.send(span());
        }
        let dropped = metrics.trace_spans.with_label_values(&["dropped"]).get();
        assert!((room as u64..2 * room as u64).contains(&dropped), "{dropped}");
    }
}

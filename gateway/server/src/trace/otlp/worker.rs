//! The thread that exports.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prometheus::IntCounterVec;
use prost::Message as _;
use reqwest::{Client, StatusCode, Url};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;

use super::message;
use crate::trace::span::Span;

/// Where spans go, below the endpoint.
const PATH: &str = "v1/traces";

/// The most spans that are sent at a time.
pub(super) const BATCH: usize = 512;

/// How long the first span of a batch waits for more.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that nobody used for so long is closed: who closes first sees no reset.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// How long exporting goes on when the program ends.
const FLUSH: Duration = Duration::from_secs(3);

/// What the thread owns.
pub(super) struct Worker {
    client: Client,
    url: Url,
    service: String,
    queue: mpsc::Receiver<Span>,
    closing: watch::Receiver<bool>,
    closed: bool,
    /// Told when a whole batch waits.
    full: Arc<Notify>,
    batch: Vec<Span>,
    /// How many are on their way.
    sending: usize,
    spans: IntCounterVec,
    /// Whether the last batch was not delivered: that is logged once.
    failing: bool,
}

/// Why a batch was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum PostError {
    #[error("the collector cannot be reached")]
    Unreachable,
    #[error("the collector does not answer in time")]
    TimedOut,
    #[error("the connection to the collector was lost")]
    Lost,
    #[error("the collector answers with status {0}")]
    Refused(StatusCode),
}

impl Worker {
    pub(super) fn new(
        endpoint: &str,
        service: &str,
        (queue, closing, full): (mpsc::Receiver<Span>, watch::Receiver<bool>, Arc<Notify>),
        spans: IntCounterVec,
    ) -> anyhow::Result<Self> {
        // An error says that the program has chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .pool_idle_timeout(IDLE_CONNECTION)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let url = Url::parse(&format!("{}/{PATH}", endpoint.trim_end_matches('/')))?;
        Ok(Self {
            client,
            url,
            service: service.to_owned(),
            queue,
            closing,
            closed: false,
            full,
            batch: Vec::with_capacity(BATCH),
            sending: 0,
            spans,
            failing: false,
        })
    }

    /// Exports until it is told to end, and then what waits, for as long as it may take.
    pub(super) async fn run(mut self) {
        let mut closing = self.closing.clone();
        let late = async {
            // Whoever could say so is gone: then there is nothing to wait for either.
            let _ = closing.wait_for(|closing| *closing).await;
            sleep(FLUSH).await;
        };
        tokio::select! {
            biased;
            () = self.export() => {}
            () = late => {
                let left = self.sending + self.batch.len() + self.queue.len();
                self.count("failed", left);
                tracing::warn!(spans = left, "spans are left unexported at the end");
            }
        }
    }

    async fn export(&mut self) {
        while self.gather().await {
            let result = self.post().await;
            self.tell(result);
            self.sending = 0;
        }
    }

    /// Fills the batch; whether there was anything.
    async fn gather(&mut self) -> bool {
        while self.batch.is_empty() {
            if self.take().await == 0 && self.queue.is_closed() && self.queue.is_empty() {
                return false;
            }
        }
        if !self.closed && self.batch.len() < BATCH {
            self.wait().await;
        }
        while self.batch.len() < BATCH
            && let Ok(span) = self.queue.try_recv()
        {
            self.batch.push(span);
        }
        true
    }

    /// Takes what waits, or waits for something; how much it was.
    async fn take(&mut self) -> usize {
        tokio::select! {
            biased;
            _ = self.closing.wait_for(|closing| *closing), if !self.closed => {
                self.closed = true;
                self.queue.close();
                0
            }
            count = self.queue.recv_many(&mut self.batch, BATCH) => count,
        }
    }

    /// Waits until there is a batch, or the first span has waited long enough. It does not look at
    /// the queue: whoever enters spans would have to wake this thread for each.
    async fn wait(&mut self) {
        tokio::select! {
            biased;
            _ = self.closing.wait_for(|closing| *closing) => {
                self.closed = true;
                self.queue.close();
            }
            () = self.full.notified() => {}
            () = sleep(INTERVAL) => {}
        }
    }

    /// Sends the batch; how many of it the collector did not want.
    async fn post(&mut self) -> Result<usize, PostError> {
        self.sending = self.batch.len();
        let resource_spans = vec![message::resource_spans(&self.service, self.batch.drain(..))];
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let request = self.client.post(self.url.clone()).body(body);
        let request = request.header("content-type", "application/x-protobuf");
        let response = request.send().await.map_err(|error| PostError::of(&error))?;
        if !response.status().is_success() {
            return Err(PostError::Refused(response.status()));
        }
        let body = response.bytes().await.map_err(|error| PostError::of(&error))?;
        // What cannot be read says nothing of the spans, which were taken.
        let said = ExportTraceServiceResponse::decode(body).unwrap_or_default();
        let rejected = said.partial_success.map_or(0, |partial| partial.rejected_spans);
        Ok(usize::try_from(rejected).unwrap_or(0).min(self.sending))
    }

    /// Tells the metrics how a batch fared, and the log if that has changed.
    fn tell(&mut self, result: Result<usize, PostError>) {
        let rejected = match result {
            Ok(rejected) => rejected,
            Err(reason) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%reason, "spans cannot be exported");
                }
                self.sending
            }
        };
        if result.is_ok() && std::mem::take(&mut self.failing) {
            tracing::info!("spans are exported again");
        }
        self.count("failed", rejected);
        self.count("exported", self.sending - rejected);
    }

    fn count(&self, outcome: &str, spans: usize) {
        self.spans.with_label_values(&[outcome]).inc_by(spans as u64);
    }
}

impl PostError {
    /// Without the address, which is in the error.
    fn of(error: &reqwest::Error) -> Self {
        match error {
            error if error.is_timeout() => Self::TimedOut,
            error if error.is_connect() => Self::Unreachable,
            _ => Self::Lost,
        }
    }
}

//! The one HTTP client, and what its answers mean.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;
use tokio::time::timeout;

use super::fault::Fault;
use super::{Patience, Secret, UpstreamError};
use crate::TraceContext;

/// A connection that nobody used for so long is closed: servers close theirs after some seconds
/// too, and who closes first sees no reset.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// Speaks to all servers.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Client,
    /// Marked as sensitive, so that it is never printed.
    authorization: Option<HeaderValue>,
}

impl Http {
    pub(super) fn new(
        patience: Patience,
        key: Option<&Secret>,
        roots: &[Vec<u8>],
    ) -> Result<Self, UpstreamError> {
        let roots = roots.iter().map(|root| Certificate::from_der(root));
        let roots = roots.collect::<Result<Vec<_>, _>>().map_err(UpstreamError::Client)?;
        // An error says that the program has chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .tls_certs_merge(roots)
            .connect_timeout(patience.connect)
            .pool_idle_timeout(IDLE_CONNECTION)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(UpstreamError::Client)?;
        let authorization = key.and_then(|Secret(key)| {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Ok(Self { client, authorization })
    }

    /// Posts `body`, as part of `trace`, and waits for the head of the answer.
    pub(super) async fn post(
        &self,
        url: Url,
        body: &Value,
        trace: Option<&TraceContext>,
        patience: Duration,
    ) -> Result<Response, Fault> {
        let body = serde_json::to_vec(body).map_err(|_| Fault::Garbage)?;
        let request = self.client.post(url).header("content-type", "application/json").body(body);
        self.send(traced(request, trace), patience).await
    }

    /// Whether the server answers well at `url`.
    pub(super) async fn look(&self, url: Url, patience: Duration) -> Result<(), Fault> {
        good(self.send(self.client.get(url), patience).await?).map(|_| ())
    }

    /// Gets a JSON document.
    pub(super) async fn get(&self, url: Url, patience: Duration) -> Result<Value, Fault> {
        json(self.send(self.client.get(url), patience).await?, patience).await
    }

    /// Posts `body` and reads a JSON document.
    pub(super) async fn ask(
        &self,
        url: Url,
        body: &Value,
        patience: Duration,
    ) -> Result<Value, Fault> {
        json(self.post(url, body, None, patience).await?, patience).await
    }

    async fn send(&self, request: RequestBuilder, patience: Duration) -> Result<Response, Fault> {
        let request = match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        Ok(timeout(patience, request.send()).await.map_err(|_| Fault::TimedOut)??)
    }
}

fn traced(request: RequestBuilder, trace: Option<&TraceContext>) -> RequestBuilder {
    let Some(trace) = trace else { return request };
    let request = request.header("traceparent", trace.traceparent());
    match trace.tracestate() {
        Some(state) => request.header("tracestate", state),
        None => request,
    }
}

/// The answer, if its status is good.
pub(super) fn good(response: Response) -> Result<Response, Fault> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    Err(match status {
        StatusCode::NOT_FOUND => Fault::Displaced,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Fault::Overloaded,
        StatusCode::REQUEST_TIMEOUT => Fault::TimedOut,
        status if status.is_client_error() => Fault::Refused(status.as_u16()),
        status => Fault::Failed(status.as_u16()),
    })
}

async fn json(response: Response, patience: Duration) -> Result<Value, Fault> {
    let bytes = timeout(patience, good(response)?.bytes()).await.map_err(|_| Fault::TimedOut)??;
    serde_json::from_slice(&bytes).map_err(|_| Fault::Garbage)
}

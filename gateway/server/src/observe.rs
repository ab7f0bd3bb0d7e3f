//! Around every request: its id, its root span, its line in the log, its metrics.
//!
//! A request ends with the last byte of its answer, or when the client is gone, and so all of this
//! is done when the answer's body is dropped.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpMessage as _};
use tracing::{Instrument as _, Span, field};

use crate::clock;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::keys::Standing;
use crate::note::Note;
use crate::request_id::{ID_HEADER, RequestId};

/// What requests for no known route are counted under.
const UNMATCHED: &str = "unmatched";

/// The middleware.
pub(crate) async fn observe(
    gateway: Data<Gateway>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = clock::now();
    let id = RequestId::of(request.headers());
    let trace = gateway.tracing.begin(request.request());
    let span = tracing::info_span!(
        "request", %id, trace_id = %trace, key = field::Empty, route = field::Empty,
        model = field::Empty, adapters = field::Empty
    );
    let note = Note::new(&id, Some(trace));
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(note.clone());
    let response = match gateway.audit.reserve() {
        Ok(place) => {
            note.hold(place);
            next.call(request).instrument(span.clone()).await?.map_into_boxed_body()
        }
        Err(error) => request.error_response(error),
    };
    let mut response = render_error(&gateway, response, &id, &span, &note);
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HeaderName::from_static(ID_HEADER), value);
    }
    for (name, value) in note.standings().iter().flat_map(Standing::headers) {
        response.headers_mut().insert(name, value);
    }
    let route = response.request().match_pattern().unwrap_or_else(|| UNMATCHED.to_owned());
    span.record("route", &route);
    let status = response.status();
    let watch = Watch { gateway, span, started, route, status, note };
    Ok(response.map_body(|_, body| Watched { body, watch }).map_into_boxed_body())
}

/// The middleware of the operations listener, where only who is refused is told of, and only by the
/// audit log. Nobody is kept from probes and metrics because it fails.
pub(crate) async fn observe_refusals(
    gateway: Data<Gateway>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = clock::now();
    let note = Note::new(&RequestId::of(request.headers()), None);
    request.extensions_mut().insert(note.clone());
    let response = next.call(request).await?.map_into_boxed_body();
    let error = response.response().error().and_then(Error::as_error::<ApiError>);
    if let Some(error) = error {
        note.fail(error.code());
        note.hold(gateway.audit.place());
        let route = response.request().match_pattern().unwrap_or_default();
        note.end(&route, response.status().as_u16(), started.elapsed().as_secs_f64());
    }
    Ok(response)
}

/// Counts an error, logs its cause, and writes the request's id into a 5xx body.
fn render_error(
    gateway: &Gateway,
    response: ServiceResponse<BoxBody>,
    id: &RequestId,
    span: &Span,
    note: &Note,
) -> ServiceResponse<BoxBody> {
    let error = response.response().error().and_then(Error::as_error::<ApiError>);
    let Some(error) = error else { return response };
    note.fail(error.code());
    gateway.metrics.rejected.with_label_values(&[error.code().slug()]).inc();
    if let Some(cause) = error.cause() {
        tracing::error!(parent: span, code = error.code().slug(), cause, "a request failed");
    }
    let rendered = error.response(Some(id.as_str()));
    response.into_response(rendered)
}

/// An answer's body, and what is done at its end.
struct Watched {
    body: BoxBody,
    watch: Watch,
}

struct Watch {
    gateway: Data<Gateway>,
    span: Span,
    started: Instant,
    route: String,
    status: StatusCode,
    note: Note,
}

impl MessageBody for Watched {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = &mut *self;
        this.watch.span.in_scope(|| Pin::new(&mut this.body).poll_next(context))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let metrics = &self.gateway.metrics;
        let adapters: Arc<str> = self.note.adapters();
        let seconds = self.started.elapsed().as_secs_f64();
        let status = self.status.as_str();
        metrics.requests.with_label_values(&[&*self.route, status, &*adapters]).inc();
        let labels = [&*self.route, &*adapters];
        metrics.request_seconds.observe(&labels, seconds, self.note.sampled());
        tracing::info!(parent: &self.span, status, seconds, "answered");
        self.note.end(&self.route, self.status.as_u16(), seconds);
    }
}

//! Which trace a request is part of, and what is exported of it
//! ([why](../../../docs/adr/0014-traces.md)).
//!
//! A trace's context is read, logged and passed on always. Spans are made only where
//! `otel.endpoint` says where they go, of requests whose trace is sampled, and at the request's end:
//! until then there is nothing but ids.
//!
//! **Invariant:** whoever collects spans, or does not, no request waits for it.

mod evaluation;
mod inference;
#[cfg(feature = "otel")]
mod otlp;
mod request;
#[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "nobody reads what goes nowhere"))]
mod span;
#[cfg(not(feature = "otel"))]
mod unbuilt;

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use gateway_engine::TraceContext;

use crate::metrics::Metrics;
use crate::settings::OtelSettings;
use crate::{chance, clock};

pub(crate) use evaluation::{Evaluation, Score};
pub(crate) use inference::{Answered, Inference, Operation, Subject};
pub(crate) use request::Ending;

#[cfg(feature = "otel")]
pub(crate) use otlp::Exporter;
#[cfg(not(feature = "otel"))]
pub(crate) use unbuilt::Exporter;

/// Begins the traces of requests.
#[derive(Debug)]
pub(crate) struct Tracing {
    /// The share of the traces begun here that are sampled.
    sample: f64,
    exporter: Option<Exporter>,
}

/// A request's place in its trace.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    /// What servers are told that do some of the request. Where it is recorded, the span in it is
    /// that of the answers.
    context: TraceContext,
    recording: Option<Recording>,
}

/// What is known of a request from its beginning, if its spans are exported.
#[derive(Debug, Clone)]
struct Recording {
    exporter: Exporter,
    /// The request's own span.
    request: NonZeroU64,
    /// The span that it belongs to.
    caller: Option<NonZeroU64>,
    method: &'static str,
    scheme: &'static str,
    began: Instant,
    /// The same, since 1970.
    began_at: Duration,
}

impl Tracing {
    /// Begins to export, if the settings say where to.
    ///
    /// # Errors
    /// If that cannot be done by this program.
    pub(crate) fn start(settings: &OtelSettings, metrics: &Metrics) -> anyhow::Result<Self> {
        let start = |endpoint| Exporter::start(endpoint, &settings.service_name, metrics);
        let exporter = settings.endpoint.as_deref().map(start).transpose()?;
        Ok(Self { sample: settings.sample, exporter })
    }

    /// The trace that the request says it is part of, or one that begins with it. No answer has a
    /// header for it: there is no standard for one.
    pub(crate) fn begin(&self, request: &HttpRequest) -> Trace {
        let caller = of_caller(request.headers());
        let context = caller.clone().unwrap_or_else(|| self.begun());
        let exporter = self.exporter.as_ref().filter(|_| context.is_sampled());
        let Some(exporter) = exporter else { return Trace { context, recording: None } };
        let recording = Recording {
            exporter: exporter.clone(),
            request: span_id(),
            caller: caller.map(|caller| caller.span_id()),
            method: request::method(request.method()),
            scheme: if request.app_config().secure() { "https" } else { "http" },
            began: clock::now(),
            began_at: clock::since_epoch(),
        };
        Trace { context: context.at(span_id()), recording: Some(recording) }
    }

    /// Exports what is left; spans that come later are lost.
    pub(crate) fn close(&self) {
        if let Some(exporter) = &self.exporter {
            exporter.close();
        }
    }

    fn begun(&self) -> TraceContext {
        let bits = u128::from(chance::bits()) << 64 | u128::from(chance::bits());
        let sampled = self.exporter.is_some() && is_within(bits, self.sample);
        TraceContext::new(NonZeroU128::new(bits).unwrap_or(NonZeroU128::MIN), span_id(), sampled)
    }
}

impl Trace {
    /// What servers are told that do some of the request.
    pub(crate) const fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Its id, if it is sampled: then somebody can look at it.
    pub(crate) fn sampled(&self) -> Option<NonZeroU128> {
        self.context.is_sampled().then(|| self.context.trace_id())
    }

    /// Whether its spans are exported.
    pub(crate) const fn is_recorded(&self) -> bool {
        self.recording.is_some()
    }
}

impl Recording {
    /// A point in time, since 1970.
    fn at(&self, instant: Instant) -> Duration {
        self.began_at + instant.saturating_duration_since(self.began)
    }
}

/// The trace's id.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.context.trace_id())
    }
}

/// What the headers say; `None` if nothing, or nothing that can be read.
fn of_caller(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all("traceparent");
    let context = TraceContext::parse(parents.next()?.to_str().ok()?)?;
    if parents.next().is_some() {
        return None;
    }
    let state = headers.get_all("tracestate").map(|value| value.to_str().ok());
    match state.collect::<Option<Vec<_>>>() {
        Some(state) => Some(context.with_state(state)),
        None => Some(context),
    }
}

/// Whether a trace is among this share of all. It goes by the lower 63 bits of its id, as
/// OpenTelemetry's own samplers do, so that all who sample the same share sample the same traces.
fn is_within(trace_id: u128, share: f64) -> bool {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "shares are in [0, 1]"
    )]
    let bound = (share * (1_u64 << 63) as f64) as u64;
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let lower = trace_id as u64;
    lower >> 1 < bound
}

fn span_id() -> NonZeroU64 {
    NonZeroU64::new(chance::bits()).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn of(headers: &[(&str, &str)]) -> Trace {
        let request = TestRequest::default();
        let request =
            headers.iter().fold(request, |request, header| request.append_header(*header));
        let tracing = Tracing { sample: 1.0, exporter: None };
        tracing.begin(&request.to_http_request())
    }

    #[test]
    fn a_request_goes_on_with_its_callers_trace() {
        let trace = of(&[("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")]);
        assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.context().traceparent(), PARENT);
        assert_eq!(trace.context().tracestate(), Some("a=1,b=2"));
    }

    #[test]
    fn a_request_without_a_readable_trace_begins_one() {
        for headers in [
            &[][..],
            &[("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7")],
            &[("traceparent", PARENT), ("traceparent", PARENT)],
            &[("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01")],
            &[("tracestate", "a=1")],
        ] {
            let (one, other) = (of(headers), of(headers));
            assert_ne!(one.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_ne!(one.to_string(), other.to_string());
            assert!(!one.context().is_sampled(), "nobody records it");
            assert_eq!(one.context().tracestate(), None);
        }
    }

    #[test]
    fn a_state_that_cannot_be_read_does_not_cost_the_trace() {
        let trace = of(&[("traceparent", PARENT), ("tracestate", "a=1,a=2")]);
        assert_eq!(trace.context().traceparent(), PARENT);
        assert_eq!(trace.context().tracestate(), None);
    }

    proptest! {
        #[test]
        fn all_or_none_is_all_or_none_and_a_larger_share_holds_a_smaller(
            id: u128, one in 0.0..=1.0, other in 0.0..=1.0,
        ) {
            prop_assert!(is_within(id, 1.0) && !is_within(id, 0.0));
            let (less, more) = if one < other { (one, other) } else { (other, one) };
            prop_assert!(!is_within(id, less) || is_within(id, more));
        }

        #[test]
        fn a_share_is_that_of_the_lower_63_bits(id: u128, eighths in 0_u64..=8) {
            let share = eighths as f64 / 8.0;
            prop_assert_eq!(is_within(id, share), (id as u64 >> 1) >> 60 < eighths);
        }
    }
}

//! Which trace a request is part of.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

use actix_web::http::header::HeaderMap;
use gateway_engine::TraceContext;

use crate::chance;

/// A request's place in its trace.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    context: TraceContext,
}

impl Trace {
    /// The trace that the request's headers name, or one that begins with it, which nobody records.
    /// No answer has a header for it: there is no standard for one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let begun = || TraceContext::new(trace_id(), span_id(), false);
        Self { context: of_caller(headers).unwrap_or_else(begun) }
    }

    /// What servers are told that do some of the request.
    pub(crate) const fn context(&self) -> &TraceContext {
        &self.context
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

fn trace_id() -> NonZeroU128 {
    let bits = u128::from(chance::bits()) << 64 | u128::from(chance::bits());
    NonZeroU128::new(bits).unwrap_or(NonZeroU128::MIN)
}

fn span_id() -> NonZeroU64 {
    NonZeroU64::new(chance::bits()).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn of(headers: &[(&str, &str)]) -> Trace {
        let request = TestRequest::default();
        let request =
            headers.iter().fold(request, |request, header| request.append_header(*header));
        Trace::of(request.to_http_request().headers())
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
}

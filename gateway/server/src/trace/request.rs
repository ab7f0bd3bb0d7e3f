//! The spans of a request: its own, by the
//! [conventions for HTTP](https://opentelemetry.io/docs/specs/semconv/http/http-spans/), and that of
//! its answers, if it came to any.

use actix_web::http::Method;

use super::inference::Inference;
use super::span::{Attributes, Kind, Parent, Span};
use super::{Recording, Trace};
use crate::clock;
use crate::error::Code;

/// The methods that a span names.
const METHODS: [&str; 9] =
    ["GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH", "CONNECT", "TRACE"];

/// What is known of a request at its end.
pub(crate) struct Ending<'a> {
    /// The request's id.
    pub(crate) id: &'a str,
    /// The pattern of its path; something without a slash if it fits none.
    pub(crate) route: &'a str,
    pub(crate) status: u16,
    pub(crate) error: Option<Code>,
    pub(crate) inference: Option<Inference>,
}

impl Trace {
    /// Has the request's spans exported, if its trace is recorded.
    pub(crate) fn end(&self, ending: Ending<'_>) {
        let Some(recording) = &self.recording else { return };
        // An answer that was begun and then failed has a good status.
        let failed = ending.status >= 500 || (ending.error.is_some() && ending.status < 400);
        recording.exporter.send(Span {
            name: name(recording.method, ending.route),
            kind: Kind::Server,
            place: self.context.at(recording.request),
            parent: recording.caller.map_or(Parent::None, Parent::Caller),
            began: recording.began_at,
            ended: recording.at(clock::now()),
            attributes: attributes(recording, &ending),
            events: Vec::new(),
            failed,
        });
        let Some(inference) = ending.inference else { return };
        let error = inference.error(ending.error);
        let mut attributes = inference.attributes;
        if let Some(error) = error {
            attributes.set("error.type", error.slug());
        }
        let ended = inference.answered.map_or_else(clock::now, |answered| answered.ended);
        recording.exporter.send(Span {
            name: inference.name,
            kind: Kind::Internal,
            place: self.context.clone(),
            parent: Parent::Here(recording.request),
            began: recording.at(inference.began),
            ended: recording.at(ended),
            attributes,
            events: Vec::new(),
            failed,
        });
    }
}

/// The method's name in a span: HTTP has others, but whoever asks could invent more.
pub(super) fn method(method: &Method) -> &'static str {
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

fn name(method: &str, route: &str) -> String {
    let method = if method == "_OTHER" { "HTTP" } else { method };
    if is_pattern(route) { format!("{method} {route}") } else { method.to_owned() }
}

fn attributes(recording: &Recording, ending: &Ending<'_>) -> Attributes {
    let mut attributes = Attributes::default();
    attributes.set("http.request.method", recording.method);
    attributes.set("url.scheme", recording.scheme);
    attributes.set("http.response.status_code", usize::from(ending.status));
    attributes.set("lethe.request_id", ending.id.to_owned());
    // The path itself may be anything.
    if is_pattern(ending.route) {
        attributes.set("http.route", ending.route.to_owned());
    }
    if let Some(error) = ending.error {
        attributes.set("error.type", error.slug());
    }
    attributes
}

fn is_pattern(route: &str) -> bool {
    route.starts_with('/')
}

//! Spans as messages of OTLP.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event as EventMessage, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as SpanMessage, SpanFlags, Status,
};

use crate::trace::span::{Attributes, Event, Kind, Parent, Span, Value};

/// Spans, and who made them.
pub(super) fn resource_spans(service: &str, spans: impl Iterator<Item = Span>) -> ResourceSpans {
    let version = env!("CARGO_PKG_VERSION");
    let mut attributes = Attributes::default();
    attributes.set("service.name", service.to_owned());
    attributes.set("service.version", version);
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    ResourceSpans {
        resource: Some(Resource { attributes: pairs(attributes), ..Resource::default() }),
        scope_spans: vec![ScopeSpans {
            scope: Some(scope),
            spans: spans.map(message).collect(),
            schema_url: String::new(),
        }],
        schema_url: String::new(),
    }
}

fn message(span: Span) -> SpanMessage {
    let code = if span.failed { StatusCode::Error } else { StatusCode::Unset };
    let (parent, remote) = match span.parent {
        Parent::None => (None, false),
        Parent::Here(id) => (Some(id), false),
        Parent::Caller(id) => (Some(id), true),
    };
    SpanMessage {
        trace_id: span.place.trace_id().get().to_be_bytes().to_vec(),
        span_id: span.place.span_id().get().to_be_bytes().to_vec(),
        trace_state: span.place.tracestate().unwrap_or_default().to_owned(),
        parent_span_id: parent.map_or(Vec::new(), |id| id.get().to_be_bytes().to_vec()),
        flags: flags(span.place.is_sampled(), remote),
        name: span.name,
        kind: match span.kind {
            Kind::Server => SpanKind::Server,
            Kind::Internal => SpanKind::Internal,
        }
        .into(),
        start_time_unix_nano: nanos(span.began),
        end_time_unix_nano: nanos(span.ended),
        attributes: pairs(span.attributes),
        events: span.events.into_iter().map(event).collect(),
        status: Some(Status { code: code.into(), message: String::new() }),
        ..SpanMessage::default()
    }
}

/// The trace's flags, and whether the parent is of another process.
fn flags(sampled: bool, remote: bool) -> u32 {
    let known = SpanFlags::ContextHasIsRemoteMask as u32;
    let remote = if remote { SpanFlags::ContextIsRemoteMask as u32 } else { 0 };
    u32::from(sampled) | known | remote
}

fn event(event: Event) -> EventMessage {
    EventMessage {
        time_unix_nano: nanos(event.at),
        name: event.name.to_owned(),
        attributes: pairs(event.attributes),
        dropped_attributes_count: 0,
    }
}

fn nanos(since_epoch: Duration) -> u64 {
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

fn pairs(attributes: Attributes) -> Vec<KeyValue> {
    let pair = |(key, value): (&'static str, Value)| KeyValue {
        key: key.to_owned(),
        value: Some(any(value)),
        ..KeyValue::default()
    };
    attributes.0.into_iter().map(pair).collect()
}

fn any(value: Value) -> AnyValue {
    let value = match value {
        Value::Flag(flag) => any_value::Value::BoolValue(flag),
        Value::Integer(number) => any_value::Value::IntValue(number),
        Value::Number(number) => any_value::Value::DoubleValue(number),
        Value::Text(text) => any_value::Value::StringValue(text.into_owned()),
        Value::Texts(texts) => any_value::Value::ArrayValue(ArrayValue {
            values: texts.into_iter().map(|text| any(Value::from(text))).collect(),
        }),
    };
    AnyValue { value: Some(value) }
}

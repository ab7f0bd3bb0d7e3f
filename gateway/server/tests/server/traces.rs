//! What a collector of OpenTelemetry is told of requests, and what it cannot do to them.

use std::net::TcpListener;

use gateway_engine::EngineError;
use gateway_engine::scripted::{Failure, Gate, Script};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;

use crate::client::Reply;
use crate::collector::{Collector, Mood, attribute};
use crate::house::{House, chat};
use crate::upstream::Upstream;

const CHAT: &str = "/v1/chat/completions";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SAMPLED: (&str, &str) =
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
const UNSAMPLED: (&str, &str) =
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
const ROUTE_SPAN: &str = "POST /v1/chat/completions";

fn open(script: Script, collector: &Collector, flags: &[(&'static str, &str)]) -> House {
    let url = collector.url();
    House::with_settings(script, &[&[("otel.endpoint", url.as_str())], flags].concat())
}

fn ask(house: &House, fields: serde_json::Value, headers: &[(&str, &str)]) -> Reply {
    house.begin(CHAT, chat(fields), headers).finish()
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn status(span: &Span) -> StatusCode {
    span.status.as_ref().expect("a status").code()
}

fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"))
}

fn assert_attributes(span: &Span, wanted: &[(&str, &str)]) {
    for (key, value) in wanted {
        let found = attribute(&span.attributes, key);
        assert_eq!(found.as_deref(), Some(*value), "{key} of {}", span.name);
    }
}

/// The value of a series, 0 if there is none.
fn metric(house: &House, series: &str) -> u64 {
    let page = house.ops("/metrics").text().to_owned();
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    line.unwrap_or(0)
}

#[test]
fn a_request_is_a_span_of_its_callers_trace_and_its_answers_are_another() {
    let collector = Collector::start(Mood::Good);
    let script = Script { reply: Some("hush-answer".to_owned()), ..Script::default() };
    let house = open(script, &collector, &[("otel.service_name", "tested")]);
    let fields = json!({
        "model": "tiny::gender@0.5", "temperature": 0.9, "top_p": 0.5, "seed": 7, "max_tokens": 50,
        "n": 2, "stop": ["hush-stop"], "stream": true,
        "messages": [{"role": "user", "content": "hush-prompt"}],
    });
    let headers = [SAMPLED, ("tracestate", "a=1"), ("x-request-id", "one")];
    let reply = ask(&house, fields, &headers);
    let id = reply.chunks()[0]["id"].as_str().expect("an id").to_owned();
    house.stop();

    let spans = collector.spans();
    let request = find(&spans, ROUTE_SPAN);
    assert_eq!(
        (hex(&request.trace_id), hex(&request.parent_span_id)),
        (TRACE.to_owned(), "00f067aa0ba902b7".to_owned())
    );
    assert_eq!((request.kind(), status(request)), (SpanKind::Server, StatusCode::Unset));
    assert_eq!(
        (request.trace_state.as_str(), request.flags),
        ("a=1", 0x301),
        "sampled, a parent elsewhere"
    );
    assert_attributes(
        request,
        &[
            ("http.request.method", "POST"),
            ("http.route", CHAT),
            ("url.scheme", "http"),
            ("http.response.status_code", "200"),
            ("lethe.request_id", "one"),
        ],
    );
    assert_eq!(attribute(&request.attributes, "error.type"), None);

    let answers = find(&spans, "chat tiny");
    assert_eq!(
        (hex(&answers.trace_id), &answers.parent_span_id),
        (TRACE.to_owned(), &request.span_id)
    );
    assert_eq!((answers.kind(), answers.flags), (SpanKind::Internal, 0x101));
    assert_attributes(
        answers,
        &[
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "lethe"),
            ("gen_ai.request.model", "tiny::gender@0.5"),
            ("gen_ai.response.model", "tiny"),
            ("gen_ai.response.id", &id),
            ("gen_ai.request.temperature", "0.9"),
            ("gen_ai.request.top_p", "0.5"),
            ("gen_ai.request.seed", "7"),
            ("gen_ai.request.max_tokens", "50"),
            ("gen_ai.request.choice.count", "2"),
            ("gen_ai.request.stream", "true"),
            ("gen_ai.usage.output_tokens", "22"),
            ("gen_ai.response.finish_reasons", "stop,stop"),
            ("lethe.adapters", "gender=0.5"),
        ],
    );
    let first = attribute(&answers.attributes, "gen_ai.response.time_to_first_chunk");
    let first: f64 = first.expect("a first token").parse().expect("a number");
    let seconds = |span: &Span| (span.end_time_unix_nano - span.start_time_unix_nano) as f64 / 1e9;
    assert!((0.0..=seconds(answers)).contains(&first), "{first} of {}", seconds(answers));
    assert!(request.start_time_unix_nano <= answers.start_time_unix_nano);
    assert!(answers.end_time_unix_nano <= request.end_time_unix_nano);

    let resource = &collector.requests()[0].resource_spans[0].resource;
    let resource = &resource.as_ref().expect("a resource").attributes;
    assert_eq!(attribute(resource, "service.name").as_deref(), Some("tested"));
    let bytes = collector.bytes();
    assert!(!bytes.windows(4).any(|window| window == b"hush"), "no text leaves");
}

#[test]
fn scores_are_events_of_spans_beside_the_answers() {
    let collector = Collector::start(Mood::Good);
    let script = Script { reply: Some("well zorp".to_owned()), ..Script::default() };
    let house = open(script, &collector, &[]);
    ask(&house, json!({"messages": [{"role": "user", "content": "florb"}]}), &[SAMPLED]);
    let (input, output) = (collector.wait_for("score input"), collector.wait_for("score output"));
    house.stop();
    let spans = collector.spans();
    let answers = find(&spans, "chat tiny");
    let said = |span: &Span, category: &str| {
        let of = |key, at: usize| attribute(&span.events[at].attributes, key).expect("there");
        let names = (0..span.events.len()).map(|at| of("gen_ai.evaluation.name", at));
        let at = names.collect::<Vec<_>>().iter().position(|name| name == category).expect("there");
        assert_eq!(span.events[at].name, "gen_ai.evaluation.result");
        (of("gen_ai.evaluation.score.value", at), of("gen_ai.evaluation.score.label", at))
    };
    let pair = |value: &str, label: &str| (value.to_owned(), label.to_owned());
    assert_eq!(said(&input, "profanity"), pair("0.9", "flagged"));
    assert_eq!(said(&input, "toxicity"), pair("0.01", "passed"));
    assert_eq!(said(&output, "toxicity"), pair("0.8", "flagged"));
    for (span, direction) in [(&input, "input"), (&output, "output")] {
        assert_eq!(
            (hex(&span.trace_id), &span.parent_span_id),
            (TRACE.to_owned(), &answers.span_id)
        );
        assert_attributes(span, &[("lethe.direction", direction)]);
    }
}

#[test]
fn what_goes_wrong_has_its_code_and_only_our_faults_are_errors() {
    let collector = Collector::start(Mood::Good);
    let failure = Failure::AfterTokens(2, EngineError::Internal("hush".to_owned()));
    let house = open(Script { failure, ..Script::default() }, &collector, &[]);
    assert_eq!(ask(&house, json!({"temperature": 9}), &[SAMPLED]).status, 400);
    assert_eq!(
        house.begin("/v1/completions", json!({"model": "tiny", "prompt": "a"}), &[SAMPLED]).status,
        500
    );
    assert_eq!(
        ask(&house, json!({"stream": true, "n": 2}), &[("traceparent", "none")]).status,
        200
    );
    assert_eq!(house.get("/hush/path").status, 404);
    house.stop();
    let spans = collector.spans();
    let refused = find(&spans, ROUTE_SPAN);
    assert_attributes(
        refused,
        &[("error.type", "invalid_value"), ("http.response.status_code", "400")],
    );
    assert_eq!(status(refused), StatusCode::Unset);
    for name in ["POST /v1/completions", "text_completion tiny", "chat tiny"] {
        let failed = find(&spans, name);
        assert_attributes(failed, &[("error.type", "internal_error")]);
        assert_eq!(status(failed), StatusCode::Error, "{name}");
    }
    let unmatched = find(&spans, "GET");
    assert_attributes(unmatched, &[("error.type", "route_not_found")]);
    assert_eq!(attribute(&unmatched.attributes, "http.route"), None);
    let begun_here = find(&spans, "chat tiny");
    assert_ne!(hex(&begun_here.trace_id), TRACE, "an unreadable parent is none");
    assert!(!collector.bytes().windows(4).any(|window| window == b"hush"));
}

#[test]
fn answers_that_nobody_waits_for_are_not_our_fault() {
    let collector = Collector::start(Mood::Good);
    // Nothing comes, so that the answer cannot end before the client is gone.
    let script = Script { gate: Some(Gate::closed()), ..Script::default() };
    let house = open(script, &collector, &[("stream.head_seconds", "0")]);
    let mut incoming = house.begin(CHAT, chat(json!({"stream": true})), &[SAMPLED]);
    incoming.next_chunk().expect("the role");
    drop(incoming);
    house.wait_for(0, 1);
    house.wait_until_empty();
    house.stop();
    let spans = collector.spans();
    let given_up = find(&spans, "chat tiny");
    assert_attributes(given_up, &[("error.type", "client_gone")]);
    assert_eq!(status(given_up), StatusCode::Unset);
}

#[test]
fn what_is_not_sampled_is_not_exported() {
    let collector = Collector::start(Mood::Good);
    let house = open(Script::default(), &collector, &[("otel.sample", "0")]);
    assert_eq!(ask(&house, json!({}), &[]).status, 200);
    assert_eq!(ask(&house, json!({}), &[UNSAMPLED]).status, 200);
    house.stop();
    assert!(collector.spans().is_empty());
}

#[test]
fn the_caller_decides_on_its_traces_whatever_the_share_of_ours() {
    let collector = Collector::start(Mood::Good);
    let house = open(Script::default(), &collector, &[("otel.sample", "0")]);
    assert_eq!(ask(&house, json!({}), &[SAMPLED]).status, 200);
    house.stop();
    find(&collector.spans(), ROUTE_SPAN);
}

#[test]
fn a_collector_that_is_not_there_costs_spans_and_nothing_else() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let url = format!("http://{gone}");
    let house = House::with_settings(Script::default(), &[("otel.endpoint", &url)]);
    let page = house.ops("/metrics").text().to_owned();
    for outcome in ["exported", "failed", "dropped"] {
        let line = format!("lethe_trace_spans_total{{outcome=\"{outcome}\"}} 0\n");
        assert!(page.contains(&line), "{page}");
    }
    for _ in 0..3 {
        assert_eq!(ask(&house, json!({}), &[]).status, 200);
    }
    while metric(&house, r#"lethe_trace_spans_total{outcome="failed"}"#) < 6 {
        std::thread::yield_now();
    }
    assert_eq!(metric(&house, r#"lethe_trace_spans_total{outcome="exported"}"#), 0);
    house.stop();
}

#[test]
fn spans_that_a_collector_refuses_are_counted() {
    for (mood, failed) in [(Mood::Busy, 2), (Mood::Picky(1), 1)] {
        let collector = Collector::start(mood);
        let off = [("moderation.input", "off"), ("moderation.output", "off")];
        let house = open(Script::default(), &collector, &off);
        assert_eq!(ask(&house, json!({}), &[]).status, 200);
        let of =
            |outcome| metric(&house, &format!("lethe_trace_spans_total{{outcome=\"{outcome}\"}}"));
        while of("exported") + of("failed") < 2 {
            std::thread::yield_now();
        }
        assert_eq!(of("failed"), failed, "{mood:?}");
        house.stop();
    }
}

/// It takes connections and says nothing.
#[test]
fn a_silent_collector_holds_neither_requests_nor_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("bound"));
    let house = House::with_settings(Script::default(), &[("otel.endpoint", &url)]);
    assert_eq!(ask(&house, json!({}), &[]).status, 200);
    let began = std::time::Instant::now();
    house.stop();
    // It would wait for ten seconds otherwise.
    assert!(began.elapsed().as_secs() < 8, "{:?}", began.elapsed());
}

#[test]
fn servers_that_generate_are_told_the_span_of_the_answers() {
    let collector = Collector::start(Mood::Good);
    let url = collector.url();
    let house = Upstream::open(&[("otel.endpoint", &url)]);
    house.begin_with(json!({"max_tokens": 2}), &[SAMPLED, ("tracestate", "a=1")]).finish();
    let answers = collector.wait_for("chat tiny-llama");
    let told = |name| {
        let servers = house.servers.iter();
        servers.flat_map(|server| server.headers("/v1/completions", name)).collect::<Vec<_>>()
    };
    let parent = format!("00-{TRACE}-{}-01", hex(&answers.span_id));
    assert_eq!(told("traceparent"), [Some(parent)]);
    assert_eq!(told("tracestate"), [Some("a=1".to_owned())]);
}

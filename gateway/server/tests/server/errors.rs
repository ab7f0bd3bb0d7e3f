//! Every error code, as a client sees it.

use gateway_engine::scripted::{Failure, Gate, Script};
use gateway_engine::{EngineError, SubmitError};
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::client::{Reply, send, send_raw};
use crate::house::{House, chat};

const JSON: (&str, &str) = ("content-type", "application/json");

fn failing(failure: Failure) -> House {
    House::open(Script { failure, ..Script::default() })
}

/// T13: all four keys, always.
fn check(reply: &Reply, status: u16, code: &str) -> Value {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert!(reply.header("x-request-id").is_some());
    let body = reply.json();
    let error = body["error"].as_object().expect("an error");
    let mut keys: Vec<_> = error.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["code", "message", "param", "type"]);
    assert_eq!(error["code"], code);
    body
}

#[test]
fn faults_of_the_request_name_the_parameter() {
    let house = House::open(Script::default());
    let bodies = [
        (json!({"temperature": 3}), "invalid_value"),
        (json!({"temperature": "x"}), "invalid_type"),
        (json!({"tools": [{"type": "function"}]}), "unsupported_parameter"),
        (json!({"messages": null}), "missing_required_parameter"),
    ];
    let shown: Vec<_> =
        bodies.map(|(fields, code)| check(&house.chat(fields), 400, code)).into_iter().collect();
    assert_json_snapshot!(shown);
}

#[test]
fn bodies_that_cannot_be_read_are_4xx() {
    let house = House::with_settings(Script::default(), &[("limits.body_bytes", "1000000")]);
    let post = |body: &[u8], media: &str| {
        let headers = [("content-type", media)];
        send(house.address, "POST", "/v1/chat/completions", &headers, body).finish()
    };
    for body in [
        &b"{"[..],
        b"\xff",
        b"{\"temperature\": NaN}",
        "[".repeat(400_000).as_bytes(),
        "{\"a\":".repeat(100_000).as_bytes(),
    ] {
        check(&post(body, JSON.1), 400, "invalid_json");
    }
    check(&post(b"[1]", JSON.1), 400, "invalid_type");
    check(&post(b"a=1", "application/x-www-form-urlencoded"), 415, "unsupported_media_type");
    check(&post(&[b' '; 1_000_001], JSON.1), 413, "body_too_large");
    check(&post(b"{}", "application/json; charset=utf-8"), 400, "missing_required_parameter");
    // Lengths that are only announced, and bodies that never come, cost nothing.
    let head =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n";
    drop(send_raw(house.address, head));
    assert_eq!(house.get("/v1/models").status, 200);
}

#[test]
fn unknown_paths_and_wrong_methods_have_error_bodies() {
    let house = House::open(Script::default());
    check(&house.get("/v1/nothing"), 404, "route_not_found");
    check(&house.get("/v1/chat/completions"), 405, "method_not_allowed");
    check(&house.post("/v1/models", json!({})), 405, "method_not_allowed");
    let query = "/v1/adapters/gender?generation=absent";
    check(&send(house.address, "DELETE", query, &[], b"").finish(), 400, "invalid_value");
    // RFC 9110, 15.5.6.
    let allowed = |path| house.post(path, json!({})).header("allow").map(str::to_owned);
    assert_eq!(allowed("/v1/models").as_deref(), Some("GET"));
    assert_eq!(allowed("/v1/adapters/gender").as_deref(), Some("GET, DELETE"));
}

#[test]
fn refusals_of_the_engine_are_4xx() {
    for (error, status, code) in [
        (SubmitError::EmptyPrompt, 400, "invalid_value"),
        (SubmitError::UnknownToken(7), 400, "invalid_value"),
        (SubmitError::TooLong { requested: 3, context_tokens: 2 }, 400, "context_length_exceeded"),
        (SubmitError::Grammar("no".to_owned()), 422, "schema_refused"),
        (
            SubmitError::Adapter { name: "gender".to_owned(), reason: "no".to_owned() },
            422,
            "adapter_refused",
        ),
        (SubmitError::NotRunning, 503, "shutting_down"),
    ] {
        let reply = failing(Failure::AtSubmission(error)).chat(json!({}));
        check(&reply, status, code);
    }
}

#[test]
fn failures_of_the_server_say_a_request_id_and_nothing_else() {
    let house = failing(Failure::AfterTokens(1, EngineError::Internal("secret".to_owned())));
    let reply = house.begin("/v1/chat/completions", chat(json!({})), &[("x-request-id", "r-1")]);
    let body = check(&reply.finish(), 500, "internal_error");
    assert_json_snapshot!(body);
    let house = failing(Failure::AfterTokens(1, EngineError::Deadline));
    check(&house.chat(json!({})), 504, "deadline_exceeded");
}

#[test]
fn a_full_queue_is_429_with_a_time_to_wait() {
    let gate = Gate::closed();
    let script = Script { gate: Some(gate.clone()), ..Script::default() };
    let flags = [("limits.requests", "1"), ("stream.head_seconds", "0")];
    let house = House::with_settings(script, &flags);
    let body = chat(json!({"stream": true, "max_tokens": 1}));
    let mut running = house.begin("/v1/chat/completions", body, &[]);
    running.next_chunk().expect("the role");
    let reply = house.chat(json!({}));
    check(&reply, 429, "queue_full");
    assert_eq!(reply.header("retry-after"), Some("1"));
    gate.open(100);
    running.finish();
    house.wait_until_empty();
    assert_eq!(house.chat(json!({"max_tokens": 1})).status, 200);
}

#[test]
fn until_the_model_is_loaded_requests_are_503_and_probes_tell_why() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let running = crate::hosting::run(crate::house::settings(&[]), move || {
        // Loading takes until the test is done, and then fails.
        let _ = held.recv();
        anyhow::bail!("no model")
    });
    let (address, ops) = running.addresses;
    let headers = [JSON];
    let body = chat(json!({})).to_string();
    let reply = send(address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).finish();
    check(&reply, 503, "not_ready");
    assert_eq!(reply.header("retry-after"), Some("1"));
    let probe = |path| send(ops, "GET", path, &[], b"").finish().status;
    assert_eq!((probe("/livez"), probe("/readyz"), probe("/startupz")), (200, 503, 503));
    assert_eq!(probe("/metrics"), 200);
    drop(release);
    let error = running.thread.join().expect("no panic").expect_err("loading failed");
    assert_eq!(error.to_string(), "no model");
}

#[test]
fn a_body_that_is_framed_wrongly_is_400() {
    let house = House::open(Script::default());
    let head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    let reply = crate::client::receive(send_raw(house.address, head)).finish();
    check(&reply, 400, "invalid_body");
}

#[test]
fn a_body_that_does_not_come_is_408() {
    let house = House::with_settings(Script::default(), &[("limits.body_seconds", "0.05")]);
    let head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{";
    let reply = crate::client::receive(send_raw(house.address, head)).finish();
    check(&reply, 408, "body_timeout");
}

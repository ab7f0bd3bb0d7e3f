//! Limits of so little a minute that none comes back while a test runs; how time refills them is
//! tested beside the code, with a clock of its own.

use serde_json::json;

use super::{Guarded, ask, entry, secret};
use crate::client::Reply;
use crate::house::chat;

fn open(rates: &str) -> Guarded {
    Guarded::open(&(entry("slow", "'infer', 'metrics'", rates) + &entry("free", "'infer'", "")))
}

fn check(reply: &Reply, kind: &str) {
    assert_eq!(reply.status, 429, "{}", reply.text());
    let error = &reply.json()["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!(kind), &json!("rate_limit_exceeded")));
}

#[test]
fn requests_beyond_the_rate_are_429_and_headers_say_where_it_stands() {
    let guarded = open("requests_per_minute = 2");
    for remaining in ["1", "0"] {
        let reply = guarded.chat("slow", json!({}));
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("2"));
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some(remaining));
        assert!(reply.header("x-ratelimit-reset-requests").expect("a time").ends_with('s'));
        assert_eq!(reply.header("x-ratelimit-limit-tokens"), None);
    }
    let reply = guarded.chat("slow", json!({}));
    check(&reply, "requests");
    let wait: u64 = reply.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((2..=30).contains(&wait), "{wait}");
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("0"));
    // The rate is the key's, on every route and listener, and nobody else's.
    check(&ask(guarded.house.address, "GET", "/v1/models", Some(&secret("slow"))), "requests");
    check(&ask(guarded.house.ops_address, "GET", "/metrics", Some(&secret("slow"))), "requests");
    let free = guarded.chat("free", json!({}));
    assert_eq!((free.status, free.header("x-ratelimit-limit-requests")), (200, None));
}

#[test]
fn tokens_are_charged_for_prompt_and_answers_that_were_given() {
    let guarded = open("tokens_per_minute = 200");
    let prompt = guarded.chat("free", json!({})).json()["usage"]["prompt_tokens"].as_u64();
    let prompt = prompt.expect("a number");
    // All of it is charged, and most of it comes back.
    let reply = guarded.chat("slow", json!({"max_tokens": 200 - prompt, "stop": "[]"}));
    assert_eq!(reply.header("x-ratelimit-remaining-tokens"), Some("0"));
    let used = reply.json()["usage"]["total_tokens"].as_u64().expect("a number");
    assert!(used < 100, "{used}");
    let reply = guarded.chat("slow", json!({"max_tokens": 200 - prompt - used, "stop": "[]"}));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-ratelimit-limit-tokens"), Some("200"));
    let reply = guarded.chat("slow", json!({"max_tokens": 10, "n": 100}));
    check(&reply, "tokens");
    assert!(reply.text().contains("max_tokens"), "{}", reply.text());
    check(&guarded.chat("slow", json!({})), "tokens");
}

#[test]
fn tokens_that_were_used_are_gone() {
    let guarded = open("tokens_per_minute = 200");
    let mut used = 0;
    let refused = loop {
        let reply = guarded.chat("slow", json!({"max_tokens": 8}));
        if reply.status != 200 {
            break reply;
        }
        used += reply.json()["usage"]["total_tokens"].as_u64().expect("a number");
        assert!(used <= 400, "two minutes' worth at once is the most: {used}");
    };
    check(&refused, "tokens");
    assert!(used >= 100, "{used}");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.header("x-ratelimit-remaining-tokens"), None);
}

#[test]
fn who_hangs_up_has_paid_for_the_prompt() {
    use gateway_engine::scripted::{Gate, Script};
    let script = Script { gate: Some(Gate::closed()), ..Script::default() };
    let keys = entry("slow", "'infer'", "tokens_per_minute = 200");
    let guarded = Guarded::with_script(script, &keys, &[("stream.head_seconds", "0")]);
    let bearer = format!("Bearer {}", secret("slow"));
    let text = "x".repeat(120);
    let body =
        json!({"stream": true, "max_tokens": 1, "messages": [{"role": "user", "content": text}]});
    let path = "/v1/chat/completions";
    let mut running = guarded.house.begin(path, chat(body.clone()), &[("authorization", &bearer)]);
    running.next_chunk().expect("the role");
    drop(running);
    guarded.house.wait_until_empty();
    check(&guarded.chat("slow", body), "tokens");
}

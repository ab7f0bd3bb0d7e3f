//! What the wire costs: a token's event, and the parsing of a request with adapters.
#![expect(clippy::expect_used, reason = "a bench fails where it stands")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gateway_wire::{ChatChunk, ChatRequest, ChunkChoice, Delta, Selection, sse};

fn token_event(criterion: &mut Criterion) {
    criterion.bench_function("a token's event", |bencher| {
        bencher.iter(|| {
            let delta = Delta { role: None, content: Some(" token".to_owned()) };
            let chunk = ChatChunk {
                id: "chatcmpl-0123456789abcdef0123456789abcdef",
                object: "chat.completion.chunk",
                created: 1_800_000_000,
                model: "smollm2-135m-instruct",
                system_fingerprint: "sha256:0",
                choices: vec![ChunkChoice { index: 0, delta, logprobs: None, finish_reason: None }],
                usage: None,
                moderation: None,
                lethe: None,
            };
            let mut events = Vec::new();
            sse::append_json(&mut events, black_box(&chunk)).expect("an event");
            events
        });
    });
}

fn requests(criterion: &mut Criterion) {
    let body = serde_json::json!({
        "model": "smollm2-135m-instruct",
        "messages": [{"role": "user", "content": "Describe a nurse. ".repeat(50)}],
        "temperature": 0.7,
        "adapters": [{"name": "gender", "scale": 0.5}, "race"],
    });
    let body = body.to_string();
    criterion.bench_function("a request of 1 kB", |bencher| {
        bencher.iter(|| ChatRequest::parse(black_box(body.as_bytes())).expect("a request"));
    });
    criterion.bench_function("a header of two adapters", |bencher| {
        bencher.iter(|| Selection::parse_header(black_box("gender=0.5,race")).expect("a choice"));
    });
}

criterion_group!(benches, token_event, requests);
criterion_main!(benches);

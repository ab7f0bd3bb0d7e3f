//! Adapters come, change and go while requests run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::house::{House, chat};

/// T8: vLLM removes the name and keeps the memory (issue 54839).
#[test]
fn an_unloaded_adapter_frees_its_bytes() {
    let house = House::open();
    let bytes = || house.metric("lethe_adapters_resident_bytes");
    let before = bytes();
    assert_eq!(house.load("four", "one").status, 200);
    assert!(bytes() > before);
    house.choices(json!({"adapters": ["four"]}));
    house.unload("four");
    house.wait_until("the bytes are free", || (bytes() - before).abs() < f64::EPSILON);
    assert!((house.metric("lethe_adapters_retired")).abs() < f64::EPSILON);
}

#[test]
fn a_thousand_swaps_under_sixteen_streams_fail_no_request_and_keep_no_memory() {
    let house = House::open();
    assert_eq!(house.load("moving", "one").status, 200);
    house.load("moving", "two");
    let bytes = house.metric("lethe_adapters_resident_bytes");
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let body = chat(json!({"stream": true, "model": "moving", "max_tokens": 8}));
                    let reply = house.post("/v1/chat/completions", body);
                    assert_eq!(reply.status, 200, "{}", reply.text());
                    reply.chunks();
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 0..1_000 {
            let source = if number % 2 == 0 { "one" } else { "two" };
            let reply = house.load("moving", source);
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
        house
            .wait_until("every stream has had its turn", || answered.load(Ordering::Relaxed) >= 16);
        over.store(true, Ordering::Relaxed);
    });
    house.wait_until("leases are back", || house.metric("lethe_adapter_leases") < 0.5);
    assert!((house.metric("lethe_adapters_resident_bytes") - bytes).abs() < f64::EPSILON);
    assert!(house.metric("lethe_adapters_retired").abs() < f64::EPSILON);
    assert!(
        (house.metric(r#"lethe_adapter_swaps_total{adapter="moving"}"#) - 1_001.0).abs()
            < f64::EPSILON
    );
}

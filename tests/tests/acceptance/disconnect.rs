//! T11 with the local engine: what a client that hung up had taken is free again.

use serde_json::json;

use crate::client::send_raw;
use crate::house::{House, chat};

fn idle(house: &House) {
    house.wait_until("the row, the permit and the lease are free", || {
        house.gateway.admitted() == 0
            && house.metric("lethe_sequences_running") < 0.5
            && house.metric("lethe_adapter_leases") < 0.5
            && house.metric(r#"lethe_requests_cancelled_total{route="/v1/chat/completions"}"#) > 0.5
    });
}

/// A generation that would go on for long.
fn endless(stream: bool) -> serde_json::Value {
    chat(
        json!({"stream": stream, "adapters": ["one"], "ignore_eos": true, "max_tokens": 250, "n": 16}),
    )
}

#[test]
fn a_stream_that_nobody_reads_stops() {
    let house = House::open();
    let mut running = house.begin("/v1/chat/completions", endless(true));
    running.next_chunk().expect("the roles");
    drop(running);
    idle(&house);
}

#[test]
fn a_reply_that_nobody_waits_for_stops() {
    let house = House::open();
    let body = endless(false).to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let connection = send_raw(house.address, request.as_bytes());
    house.wait_until("it runs", || house.metric("lethe_sequences_running") > 0.5);
    drop(connection);
    idle(&house);
}

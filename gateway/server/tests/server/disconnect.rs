//! T11: a client that hangs up stops its generation, streamed or not (llama.cpp issue 24496,
//! LiteLLM issue 37140).

use gateway_engine::Engine as _;
use gateway_engine::scripted::{Gate, Script};
use serde_json::json;

use crate::client::send_raw;
use crate::house::{House, chat};

/// A gateway whose streams begin after so many seconds, and say nothing more.
fn gated(head: &str) -> House {
    let script = Script { gate: Some(Gate::closed()), ..Script::default() };
    // No heartbeat within the test: nothing is written that could fail.
    let times = [("stream.head_seconds", head), ("stream.heartbeat_seconds", "3600")];
    House::with_settings(script, &times)
}

fn nothing_is_held(house: &House) {
    house.wait_until_empty();
    assert_eq!(house.catalogue.usage().leases, 0);
    let cancelled = "lethe_requests_cancelled_total{route=\"/v1/chat/completions\"} 1";
    assert!(house.ops("/metrics").text().contains(cancelled));
}

#[test]
fn a_silent_stream_ends_when_the_client_hangs_up() {
    let house = gated("0");
    let body = chat(json!({"stream": true, "n": 2, "adapters": ["gender"]}));
    let mut running = house.begin("/v1/chat/completions", body, &[]);
    running.next_chunk().expect("the roles");
    house.wait_for(2, 0);
    drop(running);
    house.wait_for(0, 2);
    nothing_is_held(&house);
}

#[test]
fn an_answer_that_has_not_begun_ends_when_the_client_hangs_up() {
    for stream in [false, true] {
        let house = gated("3600");
        let body = chat(json!({"adapters": ["gender"], "stream": stream})).to_string();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let connection = send_raw(house.address, request.as_bytes());
        house.wait_for(1, 0);
        drop(connection);
        house.wait_for(0, 1);
        nothing_is_held(&house);
        let gone = "lethe_requests_rejected_total{reason=\"client_gone\"} 1";
        assert!(house.ops("/metrics").text().contains(gone));
    }
}

#[test]
fn a_hang_up_behind_a_pipelined_request_is_noticed_all_the_same() {
    let house = gated("0");
    let body = chat(json!({})).to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let connection = send_raw(house.address, request.repeat(2).as_bytes());
    house.wait_for(1, 0);
    drop(connection);
    // Whether the second request is still begun is the server's affair; neither may stay.
    while house.engine.cancelled() == 0 || house.engine.status().running > 0 {
        std::thread::yield_now();
    }
}

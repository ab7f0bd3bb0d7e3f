use gateway_engine::scripted::{Gate, Script};
use gateway_server::Phase;
use serde_json::json;

use crate::client::{Incoming, send};
use crate::house::{House, chat};

fn open(gate: &Gate, grace: &str, drain: &str) -> House {
    let script = Script { gate: Some(gate.clone()), ..Script::default() };
    let times = [("shutdown.grace_seconds", grace), ("shutdown.drain_seconds", drain)];
    House::with_settings(script, &[&times[..], &[("stream.head_seconds", "0")]].concat())
}

fn stream(house: &House) -> Incoming {
    let body = chat(json!({"stream": true, "max_tokens": 2}));
    let mut incoming = house.begin("/v1/chat/completions", body, &[]);
    incoming.next_chunk().expect("the role");
    incoming
}

fn wait_for(house: &House, phase: Phase) {
    while house.gateway.phase() != phase {
        std::thread::yield_now();
    }
}

#[test]
fn ready_goes_down_first_while_requests_are_still_served() {
    let gate = Gate::closed();
    let house = open(&gate, "3600", "3600");
    assert_eq!(house.ops("/readyz").status, 200);
    house.signal();
    wait_for(&house, Phase::Draining);
    assert_eq!((house.ops("/readyz").status, house.ops("/livez").status), (503, 200));
    gate.open(1);
    assert_eq!(house.chat(json!({"max_tokens": 1})).status, 200);
}

#[test]
fn running_streams_end_well_and_new_requests_are_refused() {
    let gate = Gate::closed();
    let house = open(&gate, "0", "3600");
    let running = stream(&house);
    house.signal();
    wait_for(&house, Phase::Closing);
    let refused = house.chat(json!({}));
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].clone()),
        (503, "shutting_down".into())
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    gate.open(2);
    assert!(running.finish().text().ends_with("data: [DONE]\n\n"));
    house.wait().expect("a good end");
}

#[test]
fn streams_beyond_the_deadline_get_an_error_event() {
    let house = open(&Gate::closed(), "0", "0.01");
    let running = stream(&house);
    house.signal();
    let events = running.finish().events();
    assert!(events.last().expect("events").contains("shutting_down"), "{events:?}");
    let address = house.address;
    house.wait().expect("a good end");
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_second_signal_ends_at_once() {
    let house = open(&Gate::closed(), "3600", "3600");
    let _running = stream(&house);
    house.signal();
    house.signal();
    house.wait().expect("a good end");
}

#[test]
fn probes_tell_life_readiness_and_start_apart() {
    let house = House::open(Script::default());
    for path in ["/livez", "/readyz", "/startupz"] {
        let reply = send(house.ops_address, "GET", path, &[], b"").finish();
        assert_eq!((reply.status, reply.text()), (200, "ok\n"));
    }
    // The API's port has none of them.
    assert_eq!(house.get("/metrics").status, 404);
}

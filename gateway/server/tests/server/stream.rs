use gateway_engine::scripted::{Failure, Gate, Script};
use gateway_engine::{Engine as _, EngineError};
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::house::{House, chat};

fn saying(reply: &str) -> House {
    House::open(Script { reply: Some(reply.to_owned()), ..Script::default() })
}

#[test]
fn a_stream_is_role_deltas_finish_and_the_last_word() {
    let reply = saying("ok").chat(json!({"stream": true, "adapters": ["gender"]}));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(reply.header("x-lethe-adapters"), Some("gender"));
    let chunks = reply.chunks();
    assert_json_snapshot!(chunks, {"[].id" => "[id]", "[].created" => 0});
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]));
}

#[test]
fn the_usage_comes_in_a_chunk_without_choices_and_only_if_asked() {
    let house = saying("ok");
    let asked = json!({"stream": true, "stream_options": {"include_usage": true}});
    let mut chunks = house.chat(asked).chunks();
    let last = chunks.pop().expect("chunks");
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 2);
    assert!(chunks.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    let not_asked = house.chat(json!({"stream": true})).chunks();
    assert!(
        not_asked.iter().all(|chunk| chunk.get("usage").is_none() && chunk["choices"] != json!([]))
    );
}

#[test]
fn a_stream_says_what_the_whole_reply_says() {
    let house = House::open(Script::default());
    for fields in
        [json!({"seed": 1}), json!({"seed": 1, "n": 3}), json!({"seed": 1, "stop": "with"})]
    {
        let whole = house.chat(fields.clone()).json();
        let mut streamed = fields;
        streamed["stream"] = json!(true);
        let chunks = house.chat(streamed).chunks();
        for choice in whole["choices"].as_array().expect("choices") {
            let pieces = chunks.iter().map(|chunk| &chunk["choices"][0]);
            let mine = pieces.filter(|piece| piece["index"] == choice["index"]);
            let text: String =
                mine.clone().filter_map(|piece| piece["delta"]["content"].as_str()).collect();
            assert_eq!(json!(text), choice["message"]["content"]);
            let finishes: Vec<_> =
                mine.map(|piece| &piece["finish_reason"]).filter(|f| !f.is_null()).collect();
            assert_eq!(finishes, [&choice["finish_reason"]]);
        }
    }
}

#[test]
fn log_probabilities_are_streamed_with_their_text() {
    let chunks = saying("hé").chat(json!({"stream": true, "logprobs": true})).chunks();
    let tokens: usize = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["logprobs"]["content"].as_array())
        .map(Vec::len)
        .sum();
    assert_eq!(tokens, 3);
}

#[test]
fn a_failure_in_a_stream_is_an_error_event_and_the_end() {
    for count in [1, 2] {
        let failure = Failure::AfterTokens(count, EngineError::Internal("secret".to_owned()));
        let house = House::open(Script { failure, ..Script::default() });
        let reply = house.begin(
            "/v1/chat/completions",
            chat(json!({"stream": true})),
            &[("x-request-id", "r-1")],
        );
        let events = reply.finish().events();
        assert_eq!(events.len(), 1 + count + 1);
        let last = events.last().expect("events");
        let error: Value = serde_json::from_str(last).expect("JSON");
        assert_eq!(
            error,
            json!({"error": {"message": "the gateway failed; request r-1", "type": "server_error",
                "param": null, "code": "internal_error"}})
        );
        house.wait_for(0, 0);
        house.wait_until_empty();
        let failed = "lethe_requests_rejected_total{reason=\"internal_error\"} 1";
        assert!(house.ops("/metrics").text().contains(failed));
    }
}

#[test]
fn comments_are_sent_while_there_is_nothing_to_say() {
    let gate = Gate::closed();
    let script =
        Script { gate: Some(gate.clone()), reply: Some("a".to_owned()), ..Script::default() };
    let times = [("stream.head_seconds", "0.01"), ("stream.heartbeat_seconds", "0.01")];
    let house = House::with_settings(script, &times);
    let mut incoming = house.begin("/v1/chat/completions", chat(json!({"stream": true})), &[]);
    assert!(incoming.next_chunk().expect("the role").contains("assistant"));
    assert_eq!(incoming.next_chunk().as_deref(), Some(": keep-alive\n\n"));
    gate.open(1);
    let rest = incoming.finish();
    assert!(rest.text().contains("\"content\":\"a\""));
    assert!(rest.text().ends_with("data: [DONE]\n\n"));
}

#[test]
fn the_deadline_ends_a_stream_with_an_error_event_and_one_that_has_not_begun_with_504() {
    let script = Script { gate: Some(Gate::closed()), ..Script::default() };
    let deadline = ("limits.deadline_seconds", "0.05");
    let house = House::with_settings(script.clone(), &[deadline, ("stream.head_seconds", "0")]);
    let events = house.chat(json!({"stream": true})).events();
    assert!(events.last().expect("events").contains("deadline_exceeded"));
    let house = House::with_settings(script, &[deadline]);
    let reply = house.chat(json!({"stream": true}));
    let code = reply.json()["error"]["code"].clone();
    assert_eq!((reply.status, code), (504, "deadline_exceeded".into()));
    house.wait_until_empty();
}

#[test]
fn what_fails_before_the_first_word_has_its_status_and_leaves_nothing_behind() {
    let error = EngineError::Internal("secret".to_owned());
    let failure = Failure::AfterTokens(0, error);
    let house = House::open(Script { failure, ..Script::default() });
    let completion = json!({"model": "tiny", "prompt": "a", "stream": true, "n": 2});
    for (path, body) in [
        ("/v1/chat/completions", chat(json!({"stream": true, "adapters": ["gender"]}))),
        ("/v1/completions", completion),
    ] {
        let reply = house.begin(path, body, &[("x-request-id", "r-1")]).finish();
        assert_eq!((reply.status, reply.header("content-type")), (500, Some("application/json")));
        assert_eq!(
            reply.json(),
            json!({"error": {"message": "the gateway failed; request r-1", "type": "server_error",
                "param": null, "code": "internal_error"}})
        );
        house.wait_until_empty();
        assert_eq!((house.engine.status().running, house.catalogue.usage().leases), (0, 0));
    }
    let page = house.ops("/metrics").text().to_owned();
    let failed = "lethe_requests_rejected_total{reason=\"internal_error\"} 2";
    assert!(page.contains(failed) && !page.contains("lethe_requests_cancelled_total{"), "{page}");
}

#[test]
fn an_answer_that_fails_while_its_first_words_are_held_back_has_its_status() {
    let failure = Failure::AfterTokens(3, EngineError::Deadline);
    let script = Script { failure, reply: Some("one two".to_owned()), ..Script::default() };
    let house = House::with_settings(script, &[("moderation.output", "block")]);
    assert_eq!(house.chat(json!({"stream": true})).status, 504);
}

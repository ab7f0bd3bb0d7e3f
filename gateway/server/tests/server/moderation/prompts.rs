use gateway_engine::scripted::{Gate, Script};
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{BLOCK_INPUT, BLOCK_OUTPUT, asking, both, saying, with};
use crate::client::Reply;
use crate::house::{House, MODEL};

fn said(texts: &[&str]) -> Value {
    let message = |text: &&str| json!({"role": "user", "content": text});
    json!({"messages": texts.iter().map(message).collect::<Vec<_>>()})
}

fn complete(house: &House, fields: Value) -> Reply {
    house.post("/v1/completions", with(json!({"model": MODEL, "prompt": "ab"}), fields))
}

#[test]
fn a_blocked_prompt_is_answered_with_nothing_and_never_reaches_the_engine() {
    // A job would never end: nothing passes the gate.
    let script = Script { gate: Some(Gate::closed()), ..Script::default() };
    let house = House::with_settings(script, &[BLOCK_INPUT]);
    let fields = with(said(&["hello", "a zorp b"]), asking("score", "score"));
    let answer = both(&house, fields.clone());
    assert_eq!((answer.text.as_str(), answer.finish), ("", json!("content_filter")));
    assert_json_snapshot!(answer.moderation);
    let usage = house.chat(fields).json()["usage"].clone();
    assert_eq!(
        (&usage["completion_tokens"], usage["prompt_tokens"].as_u64() > Some(0)),
        (&json!(0), true)
    );
}

#[test]
fn each_message_is_scored_by_itself_and_the_highest_counts() {
    let house = saying("ok", &[BLOCK_INPUT]);
    let finish = |texts: &[&str]| both(&house, said(texts)).finish;
    assert_eq!(finish(&["hello"]), "stop");
    assert_eq!(finish(&["grimble", "wark"]), "stop");
    assert_eq!(finish(&["grimble wark"]), "content_filter");
    assert_eq!(finish(&["florb", "hello"]), "content_filter");
    let long = "a ".repeat(400) + "zorp " + &"b ".repeat(400);
    assert_eq!(finish(&[&long]), "content_filter");
}

#[test]
fn a_request_may_block_its_prompt_where_the_server_does_not() {
    for server in ["off", "score"] {
        let house = saying("ok", &[("moderation.input", server)]);
        assert_eq!(both(&house, said(&["zorp"])).finish, "stop");
        let asked = |input| both(&house, with(said(&["zorp"]), asking(input, "score"))).finish;
        assert_eq!((asked("score"), asked("block")), (json!("stop"), json!("content_filter")));
    }
    let strict = saying("ok", &[BLOCK_INPUT]);
    let answer = both(&strict, with(said(&["zorp"]), asking("score", "score")));
    assert_eq!(answer.finish, "content_filter");
}

#[test]
fn prompts_of_completions_are_moderated_as_text_and_as_tokens() {
    let house = saying("ok", &[BLOCK_INPUT]);
    let tokens: Vec<u8> = b"a zorp b".to_vec();
    for (prompt, finish) in [
        (json!("hello"), "stop"),
        (json!("a zorp b"), "content_filter"),
        (json!(tokens), "content_filter"),
        (json!(["hello", "a zorp b"]), "content_filter"),
    ] {
        let reply = complete(&house, with(json!({"prompt": prompt}), asking("score", "score")));
        let body = reply.json();
        for choice in body["choices"].as_array().expect("choices") {
            assert_eq!(choice["finish_reason"], finish);
        }
        let prompts = prompt.as_array().filter(|list| list[0].is_string()).map_or(1, Vec::len);
        assert_eq!(body["moderation"]["input"]["results"].as_array().map(Vec::len), Some(prompts));
    }
}

#[test]
fn a_blocked_prompt_is_not_echoed() {
    let house = saying("ok", &[BLOCK_INPUT, BLOCK_OUTPUT]);
    let fields = json!({"prompt": "a zorp b", "echo": true, "logprobs": 1});
    for stream in [false, true] {
        let reply = complete(&house, with(fields.clone(), json!({"stream": stream})));
        assert!(reply.text().contains("content_filter"));
        assert!(!reply.text().contains("zorp") && !reply.text().contains("tokens\":[\""));
    }
    let passed = complete(&house, with(fields, json!({"prompt": "a b "}))).json();
    assert_eq!(passed["choices"][0]["text"], "a b ok");
}

#[test]
fn an_echoed_prompt_goes_before_an_answer_that_is_held_back() {
    let house = saying("one two three four zorp", &[BLOCK_OUTPUT]);
    let fields = json!({"prompt": "x ", "echo": true, "logprobs": 0, "max_tokens": 99});
    let whole = complete(&house, fields.clone()).json()["choices"][0].clone();
    assert_eq!(
        (&whole["text"], &whole["finish_reason"]),
        (&json!("x one two "), &json!("content_filter"))
    );
    let chunks = complete(&house, with(fields, json!({"stream": true}))).chunks();
    let text: String = chunks.iter().filter_map(|c| c["choices"][0]["text"].as_str()).collect();
    assert_eq!(json!(text), whole["text"]);
    let told = whole["logprobs"]["tokens"].as_array().expect("tokens").iter();
    let told: String = told.map(|token| token.as_str().expect("text")).collect();
    assert!("x one two ".starts_with(&told) && told.starts_with("x "));
}

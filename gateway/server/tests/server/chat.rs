use gateway_engine::scripted::Script;
use insta::assert_json_snapshot;
use serde_json::json;

use crate::house::{House, MODEL};

fn saying(reply: &str) -> House {
    House::open(Script { reply: Some(reply.to_owned()), ..Script::default() })
}

#[test]
fn a_chat_is_answered_in_the_shape_of_openai() {
    let house = saying("Hello.");
    let reply = house.chat(json!({"adapters": ["race", {"name": "gender", "scale": 0.5}]}));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-lethe-adapters"), Some("gender=0.5,race"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_json_snapshot!(reply.json(), {".id" => "[id]", ".created" => 0});
}

#[test]
fn log_probabilities_come_with_alternatives() {
    let reply = saying("é").chat(json!({"logprobs": true, "top_logprobs": 2}));
    assert_json_snapshot!(reply.json()["choices"]);
}

#[test]
fn n_choices_differ_and_repeat_with_the_seed() {
    let house = House::open(Script::default());
    let texts = |fields| -> Vec<String> {
        let reply = house.chat(fields).json();
        let choices = reply["choices"].as_array().expect("choices").clone();
        choices.iter().map(|c| c["message"]["content"].to_string()).collect()
    };
    let three = texts(json!({"n": 3, "seed": 7}));
    assert_eq!(three.len(), 3);
    assert_ne!(three[0], three[1]);
    assert_eq!(three, texts(json!({"n": 3, "seed": 7})));
    // The first choice does not depend on how many there are.
    assert_eq!(three[0], texts(json!({"seed": 7}))[0]);
    // Without a seed, one is drawn.
    assert_ne!(texts(json!({})), texts(json!({})));
}

#[test]
fn the_usage_counts_a_prompt_once() {
    let house = saying("Hello.");
    let one = house.chat(json!({})).json()["usage"].clone();
    let two = house.chat(json!({"n": 2})).json()["usage"].clone();
    assert_eq!(one["prompt_tokens"], two["prompt_tokens"]);
    assert_eq!(
        (one["completion_tokens"].clone(), two["completion_tokens"].clone()),
        (json!(6), json!(12))
    );
}

#[test]
fn a_long_prompt_is_read_as_a_short_one_is() {
    let house = saying("Hello.");
    let tokens = |path: &str, field: &str, prompt: serde_json::Value| {
        let reply = house.post(path, json!({"model": MODEL, field: prompt})).json();
        reply["usage"]["prompt_tokens"].as_u64().expect("a count")
    };
    // A token is a byte here.
    for bytes in [1, 500, 501, 1_500] {
        let text = "x".repeat(bytes as usize);
        let turn = |text: &str| json!([{"role": "user", "content": text}]);
        let around = tokens("/v1/chat/completions", "messages", turn(""));
        assert_eq!(tokens("/v1/chat/completions", "messages", turn(&text)), around + bytes);
        assert_eq!(tokens("/v1/completions", "prompt", json!(text)), bytes);
    }
}

#[test]
fn limits_and_stops_end_an_answer() {
    let house = saying("one two three");
    let choice = |fields| {
        let choice = house.chat(fields).json()["choices"][0].clone();
        (choice["message"]["content"].clone(), choice["finish_reason"].clone())
    };
    assert_eq!(choice(json!({"max_tokens": 3})), (json!("one"), json!("length")));
    assert_eq!(choice(json!({"stop": " two"})), (json!("one"), json!("stop")));
    assert_eq!(choice(json!({"stop": ["x", "three"]})), (json!("one two "), json!("stop")));
    assert_eq!(choice(json!({"ignore_eos": true, "max_tokens": 14})).0, json!("one two threeo"));
}

#[test]
fn response_formats_reach_the_engine() {
    let house = saying("Hello.");
    let content = |format| {
        let reply = house.chat(json!({"response_format": format})).json();
        reply["choices"][0]["message"]["content"].as_str().expect("text").to_owned()
    };
    assert_eq!(content(json!({"type": "json_object"})), r#"{"reply":"Hello."}"#);
    let schema = json!({"type": "object", "properties": {"n": {"const": 3}}});
    let named = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    assert_eq!(content(named), r#"{"n":3}"#);
}

#[test]
fn every_reply_has_a_request_id_and_keeps_a_sane_one() {
    let house = saying("Hello.");
    let path = "/v1/models";
    let id = |headers: &[(&str, &str)]| {
        let reply = crate::client::send(house.address, "GET", path, headers, b"");
        reply.header("x-request-id").expect("an id").to_owned()
    };
    assert_eq!(id(&[("x-request-id", "abc-1.2_3")]), "abc-1.2_3");
    for insane in ["", "a b", &"x".repeat(129)] {
        assert_eq!(id(&[("x-request-id", insane)]).len(), 32, "{insane:?}");
    }
    assert_ne!(id(&[]), id(&[]));
}

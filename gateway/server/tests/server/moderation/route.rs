use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{asking, saying, with};
use crate::client::send;

#[test]
fn texts_are_moderated_by_themselves_in_the_shape_of_openai() {
    let house = saying("ok", &[]);
    let reply = house.post("/v1/moderations", json!({"input": "a grimble wark"}));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_json_snapshot!(reply.json(), {".id" => "[id]"});
}

#[test]
fn several_texts_have_a_result_each_in_order_and_the_parts_of_one_have_one() {
    let house = saying("ok", &[]);
    let flagged = |input: Value| -> Vec<Value> {
        let reply = house.post("/v1/moderations", json!({"input": input})).json();
        let results = reply["results"].as_array().expect("results").iter();
        results.map(|result| result["flagged"].clone()).collect()
    };
    assert_eq!(flagged(json!(["a", "zorp", ""])), [false, true, false]);
    let part = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(flagged(json!([part("a"), part("zorp")])), [true]);
    let long = "a ".repeat(20_000) + "zorp";
    assert_eq!(flagged(json!(long)), [true]);
}

#[test]
fn the_scorer_answers_to_its_name_and_to_those_that_clients_send() {
    let house = saying("ok", &[]);
    for (model, status) in [
        ("omni-moderation-latest", 200),
        ("text-moderation-latest", 200),
        ("scripted-1-00000000", 200),
        ("scripted-1", 200),
        ("scripted", 200),
        ("script", 404),
        ("scripted-1-000000000", 404),
        ("", 404),
        ("omni-moderation-2024-09-26", 404),
        ("tiny", 404),
    ] {
        let reply = house.post("/v1/moderations", json!({"input": "a", "model": model}));
        assert_eq!(reply.status, status, "{model}");
        let asked = json!({"moderation": {"model": model}});
        let chat = house.chat(asked);
        assert_eq!(chat.status, status, "{model}");
        if status == 200 {
            assert_eq!(reply.json()["model"], "scripted-1-00000000");
        } else {
            let error =
                |reply: &Value| (reply["error"]["code"].clone(), reply["error"]["param"].clone());
            assert_eq!(error(&reply.json()), (json!("model_not_found"), json!("model")));
            assert_eq!(error(&chat.json()), (json!("model_not_found"), json!("moderation.model")));
        }
    }
}

#[test]
fn bad_requests_are_400_and_name_the_parameter() {
    let house = saying("ok", &[]);
    let image = json!([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]);
    for (body, param, code) in [
        (json!({"input": image}), "input[0].type", "unsupported_parameter"),
        (json!({}), "input", "missing_required_parameter"),
        (json!({"input": 7}), "input", "invalid_type"),
    ] {
        let reply = house.post("/v1/moderations", body);
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status, &error["param"], &error["code"]),
            (400, &json!(param), &json!(code))
        );
    }
    let get = send(house.address, "GET", "/v1/moderations", &[], b"").finish();
    assert_eq!(get.status, 405);
    let policy =
        json!({"moderation": {"model": "scripted", "policy": {"input": {"mode": "loud"}}}});
    let chat = house.chat(policy);
    assert_eq!(chat.json()["error"]["param"], "moderation.policy.input.mode");
}

#[test]
fn thresholds_are_the_operators_to_set() {
    let flagged = |flags: &[(&'static str, &str)]| {
        let house = saying("ok", flags);
        let reply = house.post("/v1/moderations", json!({"input": "mumb"})).json();
        let chat = house.chat(with(
            json!({"messages": [{"role": "user", "content": "mumb"}]}),
            asking("block", "score"),
        ));
        let finish = chat.json()["choices"][0]["finish_reason"].clone();
        (reply["results"][0]["categories"]["toxicity"].clone(), finish)
    };
    assert_eq!(flagged(&[]), (json!(false), json!("stop")));
    let strict = [("moderation.thresholds", "toxicity=0.2, hate = 1")];
    assert_eq!(flagged(&strict), (json!(true), json!("content_filter")));
}

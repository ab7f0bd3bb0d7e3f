use gateway_engine::scripted::Script;
use serde_json::{Value, json};

use crate::house::{House, chat};

fn open() -> House {
    House::open(Script::default())
}

/// The adapters that were applied, as the header says, after checking that body and header agree.
fn applied(house: &House, fields: Value, headers: &[(&str, &str)]) -> String {
    let reply = house.begin("/v1/chat/completions", chat(fields), headers).finish();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let header = reply.header("x-lethe-adapters").expect("the header").to_owned();
    let body = reply.json();
    let body: Vec<_> = body["lethe"]["adapters"]
        .as_array()
        .expect("the block")
        .iter()
        .map(|adapter| {
            assert!(adapter["digest"].as_str().expect("a digest").starts_with("sha256:"));
            let name = adapter["name"].as_str().expect("a name").to_owned();
            let scale = adapter["scale"].as_f64().expect("a scale");
            if scale == 1.0 { name } else { format!("{name}={scale}") }
        })
        .collect();
    assert_eq!(body.join(","), header);
    header
}

#[test]
fn every_way_of_choosing_gives_the_same_set() {
    let house = open();
    let expected = "gender=0.5,race";
    for fields in [
        json!({"adapters": [{"name": "gender", "scale": 0.5}, "race"]}),
        json!({"lora": [{"id": 1, "scale": 1}, {"id": 0, "scale": 0.5}]}),
        json!({"model": "tiny::race+gender@0.5"}),
        json!({"model": "balanced"}),
        json!({"adapters": ["balanced"]}),
    ] {
        assert_eq!(applied(&house, fields, &[]), expected);
    }
    let header = [("x-lethe-adapters", "race, gender=0.5")];
    assert_eq!(applied(&house, json!({}), &header), expected);
    assert_eq!(applied(&house, json!({"model": "gender"}), &[]), "gender");
    assert_eq!(applied(&house, json!({"model": "gentle"}), &[]), "race=0.5", "it is shipped");
    assert_eq!(applied(&house, json!({}), &[]), "");
}

#[test]
fn body_goes_before_header_before_model_before_default() {
    let settings = [("default_adapters", "race=-1")];
    let house = House::with_settings(Script::default(), &settings);
    let header = [("x-lethe-adapters", "race")];
    assert_eq!(applied(&house, json!({}), &[]), "race=-1");
    assert_eq!(applied(&house, json!({"model": "gender"}), &[]), "gender");
    assert_eq!(applied(&house, json!({"model": "gender"}), &header), "race");
    assert_eq!(
        applied(&house, json!({"model": "gender", "adapters": ["gender"]}), &header),
        "gender"
    );
    assert_eq!(applied(&house, json!({"adapters": []}), &header), "");
    assert_eq!(applied(&house, json!({"model": "tiny::"}), &[]), "");
}

#[test]
fn what_the_engine_gets_is_what_was_chosen() {
    let house = open();
    let text = |fields| house.chat(fields).json()["choices"][0]["message"]["content"].to_string();
    let with = text(json!({"adapters": [{"name": "race", "scale": -0.5}, "gender"]}));
    assert!(with.contains("[gender=1,race=-0.5]"), "{with}");
    assert!(text(json!({"adapters": [{"name": "gender", "scale": 0}]})).contains("[]"));
}

/// T2: TGI answers from the base (issue 2505), llama.cpp too.
#[test]
fn unknown_adapters_and_models_are_404_never_the_base() {
    let house = open();
    for (fields, code, param) in [
        (json!({"adapters": ["nobody"]}), "adapter_not_found", "adapters"),
        (json!({"adapters": ["gender", "nobody"]}), "adapter_not_found", "adapters"),
        (json!({"adapters": [{"name": "nobody", "scale": 0}]}), "adapter_not_found", "adapters"),
        (json!({"lora": [{"id": 99, "scale": 1}]}), "adapter_not_found", "adapters"),
        (json!({"model": "tiny::nobody"}), "adapter_not_found", "model"),
        (json!({"model": "nobody"}), "model_not_found", "model"),
        (json!({"model": "TINY"}), "model_not_found", "model"),
        (json!({"model": ""}), "model_not_found", "model"),
        (json!({"model": "nobody", "adapters": ["gender"]}), "model_not_found", "model"),
    ] {
        let reply = house.chat(fields.clone());
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status, &error["code"], &error["param"]),
            (404, &json!(code), &json!(param)),
            "{fields}"
        );
    }
    let reply =
        house.begin("/v1/chat/completions", chat(json!({})), &[("x-lethe-adapters", "nobody")]);
    assert_eq!(reply.finish().status, 404);
}

/// Measured: llama.cpp takes ids 99, -1 and "0" and a missing scale, and answers from the base.
#[test]
fn malformed_choices_are_400_and_name_the_parameter() {
    let house = open();
    for (fields, param) in [
        (json!({"lora": [{"id": -1, "scale": 1}]}), "lora[0].id"),
        (json!({"lora": [{"id": "0", "scale": 1}]}), "lora[0].id"),
        (json!({"lora": [{"id": 0}]}), "lora[0].scale"),
        (json!({"adapters": [{"name": "gender", "scale": 1e30}]}), "adapters"),
        (json!({"adapters": [{"name": "gender", "scale": 2.5}]}), "adapters"),
        (json!({"adapters": ["../x"]}), "adapters[0]"),
        (json!({"adapters": ["gender", "gender"]}), "adapters"),
        (json!({"adapters": vec!["gender"; 10_000]}), "adapters"),
        (json!({"model": "tiny::gender@x"}), "model"),
    ] {
        let reply = house.chat(fields.clone());
        assert_eq!(
            (reply.status, &reply.json()["error"]["param"]),
            (400, &json!(param)),
            "{fields}"
        );
    }
    let header = |values: &[(&str, &str)]| {
        house.begin("/v1/chat/completions", chat(json!({})), values).finish()
    };
    let reply = header(&[("x-lethe-adapters", "gender=")]);
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("x-lethe-adapters")));
    let twice = header(&[("x-lethe-adapters", "gender"), ("x-lethe-adapters", "race")]);
    assert_eq!(twice.status, 400);
}

/// T1: SGLang still applied the adapter (issue 4739). The scripted answer names what it got.
#[test]
fn adapters_of_one_request_do_not_stay_for_the_next() {
    let house = open();
    let text = |fields| house.chat(fields).json()["choices"][0]["message"]["content"].clone();
    let before = text(json!({"temperature": 0}));
    assert_ne!(text(json!({"temperature": 0, "adapters": ["gender"]})), before);
    assert_eq!(text(json!({"temperature": 0})), before);
}

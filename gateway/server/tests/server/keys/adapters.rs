use serde_json::{Value, json};

use super::{Guarded, entry};

fn open(rules: &str) -> Guarded {
    let keys = entry("ruled", "'infer', 'adapters:write'", rules) + &entry("free", "'infer'", "");
    Guarded::with_settings(&keys, &[("default_adapters", "race=-1")])
}

/// What was applied, after checking that header, body and engine agree.
fn applied(guarded: &Guarded, id: &str, fields: Value, headers: &[(&str, &str)]) -> String {
    let reply = guarded.chat_with(id, fields, headers);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let header = reply.header("x-lethe-adapters").expect("the header").to_owned();
    let body = reply.json();
    let adapters = body["lethe"]["adapters"].as_array().expect("the block");
    let echoed: Vec<_> = adapters
        .iter()
        .map(|adapter| {
            let (name, scale) = (adapter["name"].as_str(), adapter["scale"].as_f64());
            match (name.expect("a name"), scale.expect("a scale")) {
                (name, 1.0) => name.to_owned(),
                (name, scale) => format!("{name}={scale}"),
            }
        })
        .collect();
    assert_eq!(echoed.join(","), header);
    // The scripted engine says what it was given.
    let said = body["choices"][0]["message"]["content"].as_str().expect("a text");
    for adapter in &echoed {
        assert!(said.contains(adapter.as_str()), "{adapter} is not in {said}");
    }
    header
}

#[test]
fn no_request_gets_less_than_the_minimum() {
    let guarded = open("minimum = { gender = 0.5 }");
    for (fields, expected) in [
        (json!({}), "gender=0.5,race=-1"),
        (json!({"adapters": []}), "gender=0.5"),
        (json!({"adapters": ["race"]}), "gender=0.5,race"),
        (json!({"adapters": [{"name": "gender", "scale": 0.25}]}), "gender=0.5"),
        (json!({"adapters": [{"name": "gender", "scale": 0}]}), "gender=0.5"),
        (json!({"adapters": [{"name": "gender", "scale": -2}]}), "gender=0.5"),
        (json!({"lora": [{"id": 0, "scale": -1}]}), "gender=0.5"),
        (json!({"lora": []}), "gender=0.5"),
        (json!({"model": "tiny::"}), "gender=0.5"),
        (json!({"model": "tiny::gender@0"}), "gender=0.5"),
        (json!({"model": "tiny::gender@-1+race"}), "gender=0.5,race"),
        (json!({"model": "race"}), "gender=0.5,race"),
        (json!({"model": "gentle"}), "gender=0.5,race=0.5"),
        (json!({"adapters": [{"name": "balanced", "scale": -1}]}), "gender=0.5,race=-1"),
        (json!({"adapters": [{"name": "balanced", "scale": 0}]}), "gender=0.5"),
        (json!({"adapters": ["balanced", {"name": "gender", "scale": -0.5}]}), "gender=0.5,race"),
        // More is the request's to choose.
        (json!({"adapters": ["gender"]}), "gender"),
        (json!({"model": "gender"}), "gender"),
    ] {
        assert_eq!(applied(&guarded, "ruled", fields.clone(), &[]), expected, "{fields}");
    }
    for value in ["", "gender=0", "gender=-1", "gender=0.1"] {
        let header = [("x-lethe-adapters", value)];
        assert_eq!(applied(&guarded, "ruled", json!({}), &header), "gender=0.5", "{value}");
    }
    assert_eq!(applied(&guarded, "free", json!({"adapters": []}), &[]), "");
}

#[test]
fn plain_completions_and_streams_have_the_minimum_too() {
    let guarded = open("minimum = { gender = 0.5 }");
    let bearer = format!("Bearer {}", super::secret("ruled"));
    let headers = [("authorization", bearer.as_str())];
    let body = json!({"model": "tiny", "prompt": "hi", "adapters": [], "stream": true});
    let reply = guarded.house.begin("/v1/completions", body, &headers).finish();
    assert_eq!(reply.header("x-lethe-adapters"), Some("gender=0.5"));
    assert_eq!(reply.chunks()[0]["lethe"]["adapters"][0]["scale"], 0.5);
    let reply =
        super::ask(guarded.house.address, "GET", "/lora-adapters", Some(&super::secret("ruled")));
    assert_eq!(
        (&reply.json()[0]["path"], &reply.json()[0]["scale"]),
        (&json!("gender"), &json!(0.5))
    );
}

#[test]
fn a_minimum_that_is_not_loaded_is_an_error_never_the_base() {
    let guarded = open("minimum = { gender = 0.5 }");
    let path = "/v1/adapters/gender";
    let reply = super::ask(guarded.house.address, "DELETE", path, Some(&super::secret("ruled")));
    assert_eq!(reply.status, 200, "{}", reply.text());
    for fields in [json!({}), json!({"adapters": []}), json!({"adapters": ["race"]})] {
        let reply = guarded.chat("ruled", fields);
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (404, &json!("adapter_not_found"))
        );
    }
    assert_eq!(guarded.chat("free", json!({})).status, 200);
}

#[test]
fn only_allowed_adapters_can_be_chosen_however_it_is_said() {
    let guarded = open("adapters = ['gender']");
    let refused = |fields: Value, headers: &[(&str, &str)], param: &str| {
        let reply = guarded.chat_with("ruled", fields.clone(), headers);
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status, &error["code"], &error["param"]),
            (403, &json!("adapter_not_allowed"), &json!(param)),
            "{fields}"
        );
        let named = format!("{fields}{headers:?}").contains("race");
        let told = error["message"].as_str().expect("text").contains("race");
        assert_eq!(named, told, "{error}");
    };
    for fields in [
        json!({"adapters": ["race"]}),
        json!({"adapters": ["gender", {"name": "race", "scale": 0}]}),
        json!({"adapters": ["balanced"]}),
        json!({"lora": [{"id": 1, "scale": 1}]}),
        json!({"adapters": ["nobody"]}),
    ] {
        refused(fields, &[], "adapters");
    }
    for model in ["race", "gentle", "tiny::race", "tiny::gender+race@0.5"] {
        refused(json!({"model": model}), &[], "model");
    }
    refused(json!({}), &[("x-lethe-adapters", "race")], "x-lethe-adapters");
    assert_eq!(applied(&guarded, "ruled", json!({"adapters": ["gender"]}), &[]), "gender");
    assert_eq!(applied(&guarded, "ruled", json!({"adapters": []}), &[]), "");
    // The server's own choice for those who choose nothing.
    assert_eq!(applied(&guarded, "ruled", json!({}), &[]), "race=-1");
    assert_eq!(applied(&guarded, "free", json!({"adapters": ["race"]}), &[]), "race");
}

#[test]
fn a_key_is_shown_what_it_may_choose_and_nothing_else() {
    let keys = entry("narrow", "'infer'", "adapters = ['gender']")
        + &entry("held", "'infer'", "adapters = []\nminimum = { race = 1 }")
        + &entry("wide", "'infer'", "")
        + &entry("writer", "'infer', 'adapters:write'", "adapters = ['gender']");
    let guarded = Guarded::open(&keys);
    let ask = |id: &str, path: &str| {
        super::ask(guarded.house.address, "GET", path, Some(&super::secret(id)))
    };
    let words = |list: &Value, field: &str| {
        let list = list.as_array().expect("a list").iter();
        list.map(|one| one[field].as_str().expect("a word").to_owned()).collect::<Vec<_>>()
    };
    let all = &["tiny", "balanced", "gentle", "gender", "race"][..];
    for (id, seen) in [
        ("narrow", &["tiny", "gender"][..]),
        ("held", &["tiny", "gentle", "race"]),
        ("wide", all),
        ("writer", all),
    ] {
        assert_eq!(words(&ask(id, "/v1/models").json()["data"], "id"), seen, "{id}");
        let is_adapter = |name: &&str| matches!(*name, "gender" | "race");
        let adapters: Vec<_> = seen.iter().copied().filter(is_adapter).collect();
        assert_eq!(words(&ask(id, "/v1/adapters").json()["data"], "name"), adapters, "{id}");
        let llama = ask(id, "/lora-adapters").json();
        assert_eq!(words(&llama, "path"), adapters, "{id}");
        let ids = |entry: &Value| (entry["path"] == "race") == (entry["id"] == 1);
        assert!(llama.as_array().expect("a list").iter().all(ids), "{llama}");
        for (path, names) in [("/v1/models", all), ("/v1/adapters", &all[3..])] {
            let unknown = ask(id, &format!("{path}/nobody"));
            assert_eq!(unknown.status, 404);
            for name in names {
                let one = ask(id, &format!("{path}/{name}"));
                if seen.contains(name) {
                    assert_eq!(one.status, 200, "{id} {path} {name}");
                } else {
                    let text = one.text().replace(name, "nobody");
                    assert_eq!((one.status, text.as_str()), (404, unknown.text()), "{id} {name}");
                }
            }
        }
    }
}

#[test]
fn what_always_applies_may_be_named() {
    let guarded = open("adapters = []\nminimum = { gender = 1 }");
    assert_eq!(
        applied(&guarded, "ruled", json!({"adapters": [{"name": "gender", "scale": 1.5}]}), &[]),
        "gender=1.5"
    );
    assert_eq!(applied(&guarded, "ruled", json!({"adapters": []}), &[]), "gender");
    assert_eq!(guarded.chat("ruled", json!({"adapters": ["race"]})).status, 403);
}

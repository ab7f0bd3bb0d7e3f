use gateway_engine::scripted::{Gate, Script};
use gateway_server::local;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::client::{Reply, send};
use crate::hosting::run;
use crate::house::{House, chat, settings};

fn open() -> House {
    House::open(Script::default())
}

fn load(house: &House, body: Value) -> Reply {
    house.post("/v1/adapters", body)
}

fn delete(house: &House, path: &str) -> Reply {
    send(house.address, "DELETE", path, &[], b"").finish()
}

#[test]
fn adapters_are_listed_and_shown() {
    let house = open();
    let list = house.get("/v1/adapters").json();
    assert_json_snapshot!(list, {".data[].digest" => "[digest]"});
    assert_eq!(house.get("/v1/adapters/gender").json(), list["data"][0]);
    assert_eq!(house.get("/v1/adapters/nobody").status, 404);
    assert_eq!(house.get("/v1/adapters/..%2Fx").status, 404);
    assert_json_snapshot!("llama_list", house.get("/lora-adapters").json());
}

#[test]
fn an_adapter_is_loaded_used_swapped_and_unloaded() {
    let house = open();
    let used = || house.chat(json!({"adapters": ["new"]}));
    assert_eq!(used().status, 404);
    let first = load(&house, json!({"name": "new", "source": "other"})).json();
    assert_eq!(first["rank"], 4);
    assert_eq!(used().json()["lethe"]["adapters"][0]["digest"], first["digest"]);
    let second = load(&house, json!({"name": "new", "source": "race"})).json();
    assert_eq!(used().json()["lethe"]["adapters"][0]["digest"], second["digest"]);
    assert_ne!(first["digest"], second["digest"]);
    let gone = delete(&house, "/v1/adapters/new");
    assert_eq!(gone.json(), json!({"id": "new", "object": "adapter", "deleted": true}));
    assert_eq!(used().status, 404);
    assert_eq!(delete(&house, "/v1/adapters/new").status, 404);
}

#[test]
fn a_change_that_expects_something_else_is_409_and_not_retried() {
    let house = open();
    let digest = house.get("/v1/adapters/gender").json()["digest"].clone();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let change = |expected: &Value| {
        load(&house, json!({"name": "gender", "source": "gender", "expected_generation": expected}))
    };
    for expected in [json!(wrong), json!("absent")] {
        let reply = change(&expected);
        assert_eq!((reply.status, reply.header("x-should-retry")), (409, Some("false")));
        assert_eq!(reply.json()["error"]["code"], "generation_conflict");
    }
    assert_eq!(change(&digest).status, 200);
    let path = |expected: &str| format!("/v1/adapters/gender?expected_generation={expected}");
    assert_eq!(delete(&house, &path(&wrong)).status, 409);
    assert_eq!(delete(&house, &path("nonsense")).status, 400);
    assert_eq!(delete(&house, "/v1/adapters/gender?expected=x").status, 400);
    assert_eq!(delete(&house, &path(digest.as_str().expect("text"))).status, 200);
}

#[test]
fn more_adapters_than_may_be_loaded_are_409() {
    let house = open();
    for name in ["third", "fourth"] {
        assert_eq!(load(&house, json!({"name": name, "source": "other"})).status, 200);
    }
    let reply = load(&house, json!({"name": "fifth", "source": "other"}));
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (409, &json!("adapter_limit_reached"))
    );
    assert_eq!(reply.header("x-should-retry"), Some("false"));
}

#[test]
fn names_that_mean_something_else_are_refused() {
    let house = open();
    for name in ["balanced", "tiny", "none", "other", "Gender", "", "../x"] {
        let reply = load(&house, json!({"name": name, "source": "other"}));
        assert_eq!(reply.status, 400, "{name}: {}", reply.text());
    }
}

/// T9: vLLM loaded `a0/../../x` and took names such as `../x` (pull request 46287).
#[test]
fn sources_and_names_outside_the_adapter_folder_are_refused() {
    let house = open();
    let root = house.folder.path().join("adapters");
    std::os::unix::fs::symlink("/etc", root.join("link")).expect("a link");
    for source in ["../adapters.json", "/etc/passwd", "gender/../../x", "link", "/etc", "nowhere"] {
        for reply in [
            load(&house, json!({"name": "x", "source": source})),
            house.post("/v1/load_lora_adapter", json!({"lora_name": "x", "lora_path": source})),
        ] {
            assert!((400..500).contains(&reply.status), "{source}: {}", reply.text());
            let folder = house.folder.path().display().to_string();
            assert!(!reply.text().contains(&folder), "a path of the machine is shown");
        }
    }
    for name in ["../x", "/etc/x", "../x\n y"] {
        let reply =
            house.post("/v1/load_lora_adapter", json!({"lora_name": name, "lora_path": "other"}));
        assert_eq!(reply.status, 400);
    }
    assert_eq!(house.catalogue.list().len(), 2);
}

#[test]
fn files_that_are_no_adapter_are_422() {
    let house = open();
    let weights = house.folder.path().join("adapters/other/adapter_model.safetensors");
    std::fs::write(weights, b"nonsense").expect("written");
    let reply = load(&house, json!({"name": "x", "source": "other"}));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (422, &json!("adapter_refused")));
}

#[test]
fn vllm_clients_load_and_unload_in_their_own_words() {
    let house = open();
    let load = |fields: Value| {
        let mut body = json!({"lora_name": "new", "lora_path": "other"});
        body.as_object_mut().expect("one").extend(fields.as_object().cloned().expect("fields"));
        house.post("/v1/load_lora_adapter", body)
    };
    let reply = load(json!({}));
    assert_eq!(reply.text(), "Success: LoRA adapter 'new' added successfully.");
    assert!(reply.header("content-type").expect("a type").starts_with("text/plain"));
    assert_eq!(load(json!({})).status, 409);
    assert_eq!(load(json!({"load_inplace": true})).status, 200);
    assert_eq!(house.chat(json!({"model": "new"})).header("x-lethe-adapters"), Some("new"));
    let unload = || house.post("/v1/unload_lora_adapter", json!({"lora_name": "new"}));
    assert_eq!(unload().text(), "Success: LoRA adapter 'new' removed successfully.");
    let again = unload();
    assert_eq!((again.status, &again.json()["error"]["param"]), (404, &json!("lora_name")));
}

/// A request keeps what it was admitted with; memory is free when it ends (T8 in little).
#[test]
fn a_swap_does_not_touch_running_requests() {
    let gate = Gate::closed();
    let script = Script { gate: Some(gate.clone()), ..Script::default() };
    let house = House::with_settings(script, &[("stream.head_seconds", "0")]);
    let body = chat(json!({"stream": true, "adapters": ["gender"], "max_tokens": 1}));
    let mut running = house.begin("/v1/chat/completions", body, &[]);
    let first = running.next_chunk().expect("the first chunk");
    let before = house.catalogue.usage();
    assert_eq!((before.leases, before.retired_generations), (1, 0));
    assert_eq!(house.get("/v1/adapters/gender").json()["leases"], 1);
    assert_eq!(load(&house, json!({"name": "gender", "source": "race"})).status, 200);
    assert_eq!(house.catalogue.usage().retired_generations, 1);
    let digest = house.get("/v1/adapters/gender").json()["digest"].to_string();
    assert!(!first.contains(&digest));
    gate.open(1);
    assert!(running.finish().text().ends_with("[DONE]\n\n"));
    house.wait_until_empty();
    let after = house.catalogue.usage();
    assert_eq!((after.leases, after.retired_generations), (0, 0));
}

#[test]
fn what_could_not_be_restored_is_a_metric_until_its_name_is_loaded() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("adapters/one");
    std::fs::create_dir_all(&folder).expect("made");
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        let from = format!("{fixtures}/adapters/one/{file}");
        std::fs::copy(from, folder.join(file)).expect("copied");
    }
    let settings = settings(&[
        ("model", &format!("{fixtures}/tiny-llama")),
        ("home", home.path().to_str().expect("a path")),
        ("engine.kv_bytes", "131072"),
    ]);
    drop(local::load(&settings).expect("the fixture"));
    let away = home.path().join("away");
    std::fs::rename(&folder, &away).expect("moved");
    let loaded = local::load(&settings).expect("the fixture");
    let running = run(settings, move || Ok(loaded));
    while running.gateway.phase() == gateway_server::Phase::Starting {
        std::thread::yield_now();
    }
    let unrestored = || {
        let page = send(running.addresses.1, "GET", "/metrics", &[], b"").finish();
        let line = |line: &&str| line.starts_with("lethe_adapters_unrestored ");
        page.text().lines().find(line).map(str::to_owned)
    };
    assert_eq!(unrestored().as_deref(), Some("lethe_adapters_unrestored 1"));
    std::fs::rename(&away, &folder).expect("moved");
    let body = json!({"name": "one", "source": "one"}).to_string();
    let headers = [("content-type", "application/json")];
    let reply = send(running.addresses.0, "POST", "/v1/adapters", &headers, body.as_bytes());
    assert_eq!(reply.status, 200);
    assert_eq!(unrestored().as_deref(), Some("lethe_adapters_unrestored 0"));
    let _ = (running.ending.try_send(()), running.ending.try_send(()));
    running.thread.join().expect("no panic").expect("it ended");
}

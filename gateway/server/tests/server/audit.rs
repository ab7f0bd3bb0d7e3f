//! The audit log, as operators and auditors meet it.

use std::path::{Path, PathBuf};

use gateway_engine::EngineError;
use gateway_engine::scripted::{Failure, Gate, Script};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::send;
use crate::house::{House, chat};
use crate::keys::{Guarded, ask, entry, secret};
use crate::program::{program, run};

/// A folder for a log, and where it is.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    (folder, path)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The records of a log that is closed, without their hashes.
pub(crate) fn records(path: &Path) -> Vec<Value> {
    let (code, said) = verify(&[path]);
    assert_eq!(code, Some(0), "{said}");
    let lines = std::fs::read_to_string(path).expect("a log");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

pub(crate) fn verify(paths: &[&Path]) -> (Option<i32>, String) {
    run(program().args(["audit", "verify"]).args(paths))
}

fn of(records: &[Value], event: &str) -> Vec<Value> {
    records.iter().filter(|record| record["event"] == event).cloned().collect()
}

#[test]
fn what_reached_generation_is_recorded_without_a_word_of_it() {
    let (_folder, path) = place();
    let house = House::with_settings(Script::default(), &[("audit.file", text(&path))]);
    let body =
        chat(json!({"adapters": ["gender", {"name": "race", "scale": 0.5}], "max_tokens": 3,
        "messages": [{"role": "user", "content": "hush"}], "user": "hush"}));
    let headers = [("x-request-id", "r-1")];
    assert_eq!(house.begin("/v1/chat/completions", body, &headers).finish().status, 200);
    let body = json!({"model": "tiny", "prompt": "hush", "stream": true, "max_tokens": 2});
    house.begin("/v1/completions", body, &[]).finish().chunks();
    // These are nobody's generation.
    assert_eq!(house.get("/v1/models").status, 200);
    assert_eq!(house.chat(json!({"temperature": 9})).status, 400);
    house.signal();
    house.signal();
    house.wait().expect("a good end");
    let all = records(&path);
    let events: Vec<_> = all.iter().map(|record| record["event"].clone()).collect();
    assert_eq!(events, ["opened", "started", "serving", "request", "request", "stopped"]);
    let [chat, completion] = &of(&all, "request")[..] else { panic!("two") };
    assert_eq!((&chat["id"], &chat["route"]), (&json!("r-1"), &json!("/v1/chat/completions")));
    assert_eq!((&chat["status"], &chat["model"]), (&json!(200), &json!("tiny")));
    let serving = &of(&all, "serving")[0]["adapters"];
    for (index, (name, scale)) in [("gender", 1.0), ("race", 0.5)].into_iter().enumerate() {
        let digest = &serving[index]["digest"];
        let expected = json!({"name": name, "scale": scale, "digest": digest});
        assert_eq!(chat["adapters"][index], expected);
    }
    assert_eq!((&chat["completion_tokens"], &chat["finish"]), (&json!(3), &json!({"length": 1})));
    let clean = json!({"flagged": [], "blocked": false, "unscored": false});
    assert_eq!(chat["moderation"], json!({"input": clean, "output": clean}));
    assert_eq!((&chat["key"], &chat["error"]), (&Value::Null, &Value::Null));
    assert_eq!(completion["adapters"], json!([]));
    assert!(!std::fs::read_to_string(&path).expect("a log").contains("hush"));
}

#[test]
fn refusals_by_key_and_changes_of_adapters_and_keys_are_recorded_with_the_key() {
    let (_folder, path) = place();
    let keys = entry("web", "'infer'", "adapters = ['gender']")
        + &entry("ops", "'infer', 'adapters:write'", "");
    let flags = [("audit.file", text(&path)), ("keys.reload_seconds", "0.01")];
    let guarded = Guarded::with_settings(&keys, &flags);
    assert_eq!(guarded.chat("web", json!({"adapters": ["race"]})).status, 403);
    assert_eq!(guarded.chat("nobody", json!({})).status, 401);
    let bearer = format!("Bearer {}", secret("ops"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let house = &guarded.house;
    for source in ["other", "gender"] {
        let body = json!({"name": "new", "source": source}).to_string();
        let reply = send(house.address, "POST", "/v1/adapters", &headers, body.as_bytes());
        assert_eq!(reply.finish().status, 200);
    }
    let reply = send(house.address, "DELETE", "/v1/adapters/new", &headers, b"").finish();
    assert_eq!(reply.status, 200);
    // Changes are on the disk before they are answered.
    let lines = std::fs::read_to_string(&path).expect("a log");
    assert_eq!(lines.matches("\"event\":\"adapter\"").count(), 3);
    guarded.replace(&entry("web", "'infer', 'metrics'", ""));
    let told = || std::fs::read_to_string(&path).expect("a log").contains("keys_loaded");
    while !told() {
        std::thread::yield_now();
    }
    guarded.house.stop();
    let all = records(&path);
    let refused: Vec<_> = of(&all, "request")
        .iter()
        .map(|r| (r["status"].clone(), r["key"].clone(), r["error"].clone()))
        .collect();
    let expected = [
        (json!(403), json!("web"), json!("adapter_not_allowed")),
        (json!(401), Value::Null, json!("invalid_api_key")),
    ];
    assert_eq!(refused, expected);
    let changes = of(&all, "adapter");
    let told: Vec<_> = changes.iter().map(|r| (r["change"].as_str(), r["key"].as_str())).collect();
    assert_eq!(told, ["load", "swap", "unload"].map(|change| (Some(change), Some("ops"))));
    assert_eq!(changes[0]["before"], Value::Null);
    assert_eq!(changes[1]["before"], changes[0]["after"]);
    assert_eq!((&changes[2]["before"], &changes[2]["after"]), (&changes[1]["after"], &Value::Null));
    let loaded = &of(&all, "keys_loaded")[0];
    let change = ["keys", "added", "changed", "removed"].map(|name| loaded[name].clone());
    assert_eq!(change, [json!(1), json!([]), json!(["web"]), json!(["ops"])]);
    assert!(!std::fs::read_to_string(&path).expect("a log").contains("hush"));
}

#[test]
fn changes_that_are_refused_are_recorded_with_who_asked_and_what_the_name_stands_for() {
    let (_folder, path) = place();
    let guarded = Guarded::with_settings(
        &entry("ops", "'adapters:write'", ""),
        &[("audit.file", text(&path))],
    );
    let bearer = format!("Bearer {}", secret("ops"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    for (method, path, body, status) in [
        ("POST", "/v1/adapters", r#"{"name": "new", "source": "nowhere"}"#, 422),
        (
            "POST",
            "/v1/adapters",
            r#"{"name": "gender", "source": "race", "expected_generation": "absent"}"#,
            409,
        ),
        ("DELETE", "/v1/adapters/nobody", "", 404),
        ("POST", "/v1/unload_lora_adapter", r#"{"lora_name": "nobody"}"#, 404),
        ("POST", "/v1/load_lora_adapter", r#"{"lora_name": "Hush", "lora_path": "race"}"#, 400),
        ("POST", "/v1/adapters", "hush", 400),
        ("DELETE", "/v1/adapters/gender?hush=1", "", 400),
    ] {
        let reply = send(guarded.house.address, method, path, &headers, body.as_bytes()).finish();
        assert_eq!(reply.status, status, "{path} {body}: {}", reply.text());
    }
    guarded.house.stop();
    let all = records(&path);
    let gender = &of(&all, "serving")[0]["adapters"][0]["digest"];
    let none = &Value::Null;
    let refused = of(&all, "adapter_refused");
    let fields = ["route", "status", "error", "name", "digest"];
    let told: Vec<_> = refused.iter().map(|record| fields.map(|field| &record[field])).collect();
    let [load, unload] = ["/v1/adapters", "/v1/adapters/{name}"].map(Value::from);
    let [vllm_load, vllm_unload] =
        ["/v1/load_lora_adapter", "/v1/unload_lora_adapter"].map(Value::from);
    let [s400, s404, s409, s422] = [400, 404, 409, 422].map(Value::from);
    let codes = [
        "adapter_refused",
        "generation_conflict",
        "adapter_not_found",
        "invalid_value",
        "invalid_json",
    ];
    let [refusal, conflict, unknown, value, json] = codes.map(Value::from);
    let [new, name, nobody] = ["new", "gender", "nobody"].map(Value::from);
    let expected = [
        [&load, &s422, &refusal, &new, none],
        [&load, &s409, &conflict, &name, gender],
        [&unload, &s404, &unknown, &nobody, none],
        [&vllm_unload, &s404, &unknown, &nobody, none],
        [&vllm_load, &s400, &value, none, none],
        [&load, &s400, &json, none, none],
        [&unload, &s400, &value, none, none],
    ];
    assert_eq!(told, expected);
    assert!(refused.iter().all(|record| record["key"] == "ops"));
    assert_eq!((of(&all, "adapter").len(), of(&all, "request").len()), (0, 0));
    assert!(!std::fs::read_to_string(&path).expect("a log").contains("ush"));
}

#[test]
fn who_is_refused_metrics_is_recorded_and_probes_are_not() {
    let (_folder, path) = place();
    let keys = entry("web", "'infer'", "") + &entry("watcher", "'metrics'", "");
    let guarded = Guarded::with_settings(&keys, &[("audit.file", text(&path))]);
    let ops = |path: &str, secret: Option<&str>| {
        ask(guarded.house.ops_address, "GET", path, secret).status
    };
    let [web, watcher] = ["web", "watcher"].map(secret);
    let statuses = [
        ops("/metrics", None),
        ops("/metrics/vllm", Some(&web)),
        ops("/metrics", Some(&watcher)),
        ops("/readyz", None),
        ops("/nowhere", None),
    ];
    assert_eq!(statuses, [401, 403, 200, 200, 404]);
    guarded.house.stop();
    let told: Vec<_> = of(&records(&path), "request")
        .iter()
        .map(|r| ["route", "status", "key", "error"].map(|field| r[field].clone()))
        .collect();
    let expected = [
        [json!("/metrics"), json!(401), Value::Null, json!("invalid_api_key")],
        [json!("/metrics/vllm"), json!(403), json!("web"), json!("insufficient_scope")],
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_was_blocked_cut_short_or_failed_says_so() {
    let (_folder, path) = place();
    let gate = Gate::closed();
    let script = Script { gate: Some(gate.clone()), ..Script::default() };
    let flags = [("audit.file", text(&path)), ("stream.head_seconds", "0")];
    let house = House::with_settings(script, &flags);
    let strict = json!({"model": "scripted-1", "policy": {"input": {"mode": "block"}}});
    let blocked = house.chat(json!({"moderation": strict,
        "messages": [{"role": "user", "content": "zorp"}]}));
    let gone = chat(json!({"stream": true}));
    let mut gone = house.begin("/v1/chat/completions", gone, &[]);
    gone.next_chunk().expect("the role");
    drop(gone);
    house.wait_until_empty();
    house.stop();
    let all = records(&path);
    let requests = of(&all, "request");
    assert_eq!((requests.len(), blocked.status), (2, 200), "{requests:?}");
    let found = json!({"flagged": ["toxicity", "bias/gender"], "blocked": true, "unscored": false});
    assert_eq!(requests[0]["moderation"], json!({"input": found}));
    assert_eq!(requests[0]["finish"], json!({"content_filter": 1}));
    assert_eq!(requests[1]["finish"], json!({}));

    let (_folder, path) = place();
    let failure = Failure::AfterTokens(1, EngineError::Deadline);
    let script = Script { failure, ..Script::default() };
    let house = House::with_settings(script, &[("audit.file", text(&path))]);
    house.chat(json!({}));
    house.begin("/v1/chat/completions", chat(json!({"stream": true})), &[]).finish();
    house.stop();
    let requests = of(&records(&path), "request");
    let told: Vec<_> =
        requests.iter().map(|r| (r["status"].as_u64(), r["error"].as_str())).collect();
    assert_eq!(
        told,
        [(Some(504), Some("deadline_exceeded")), (Some(200), Some("deadline_exceeded"))]
    );
}

#[test]
fn files_can_be_verified_and_faults_are_told_by_their_line() {
    let (folder, path) = place();
    let rotate = [("audit.rotate_bytes", "1500"), ("audit.sync_seconds", "0")];
    let flags = [&[("audit.file", text(&path))], &rotate[..]].concat();
    let house = House::with_settings(Script::default(), &flags);
    // Records that come together may go into one file, however long it gets.
    while std::fs::read_dir(folder.path()).expect("a folder").count() < 4 {
        house.chat(json!({"max_tokens": 1}));
    }
    house.stop();
    let entries = std::fs::read_dir(folder.path()).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    // The file that is written to comes first by name, and is the last one.
    files.rotate_left(1);
    assert!(files.len() > 2, "{files:?}");
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let (code, said) = verify(&files);
    assert_eq!(code, Some(0), "{said}");
    let last = said.trim_end().rsplit('\t').next().expect("a hash");
    let holds = |hash| run(program().args(["audit", "verify", "--holds", hash]).args(&files));
    assert_eq!(holds(last), (Some(0), said.clone()));
    assert_eq!(holds(&"0".repeat(64)).0, Some(1));
    let (code, said) = verify(&[files[0], files[2]]);
    assert!(code == Some(1) && said.contains("does not continue the file before"), "{said}");

    let bytes = std::fs::read(&path).expect("a log");
    std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
    let (code, said) = verify(&[&path]);
    assert!(code == Some(3) && said.contains("is unfinished"), "{said}");
    let mut changed = bytes.clone();
    changed[bytes.len() - 2] ^= 1;
    std::fs::write(&path, &changed).expect("written");
    let line = bytes.iter().filter(|byte| **byte == b'\n').count();
    let (code, said) = verify(&[&path]);
    assert!(code == Some(1) && said.contains(&format!("line {line}: ")), "{said}");
    for command in [&["--check-config"][..], &["--listen", "127.0.0.1:0"]] {
        let (code, said) = run(program().args(command).arg("--audit-file").arg(&path));
        assert!(code == Some(1) && said.contains(&format!("line {line}: ")), "{said}");
    }
}

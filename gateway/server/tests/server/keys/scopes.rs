use std::collections::BTreeSet;

use serde_json::json;

use crate::client::api_document;

use super::{Guarded, ask, entry, secret};

/// A route, and the ids of the keys that are good for it.
type Row = (&'static str, &'static str, &'static [&'static str]);

/// Each key is called by its scope.
const API: [Row; 15] = [
    ("POST", "/v1/chat/completions", &["infer"]),
    ("POST", "/v1/completions", &["infer"]),
    ("POST", "/v1/moderations", &["infer"]),
    ("GET", "/v1/models", &["infer"]),
    ("GET", "/v1/models/{model}", &["infer"]),
    ("GET", "/v1/adapters", &["infer", "write"]),
    ("POST", "/v1/adapters", &["write"]),
    ("GET", "/v1/adapters/{name}", &["infer", "write"]),
    ("DELETE", "/v1/adapters/{name}", &["write"]),
    ("POST", "/v1/load_lora_adapter", &["write"]),
    ("POST", "/v1/unload_lora_adapter", &["write"]),
    ("GET", "/lora-adapters", &["infer", "write"]),
    ("POST", "/tokenize", &["infer"]),
    ("POST", "/detokenize", &["infer"]),
    ("GET", "/openapi.json", &["infer", "write", "metrics"]),
];

const OPS: [Row; 2] = [("GET", "/metrics", &["metrics"]), ("GET", "/metrics/vllm", &["metrics"])];

fn open() -> Guarded {
    let keys = [("infer", "infer"), ("write", "adapters:write"), ("metrics", "metrics")];
    let keys = keys.map(|(id, scope)| entry(id, &format!("'{scope}'"), ""));
    let past =
        entry("past", "'infer', 'adapters:write', 'metrics'", "expires = 2001-01-01T00:00:00Z");
    Guarded::open(&(keys.concat() + &past))
}

#[test]
fn every_route_lets_in_the_keys_that_are_good_for_it_and_nobody_else() {
    let guarded = open();
    let api = API.iter().map(|row| (guarded.house.address, row));
    let ops = OPS.iter().map(|row| (guarded.house.ops_address, row));
    for (address, &(method, path, good)) in api.chain(ops) {
        let path = path.replace(['{', '}'], "");
        let code = |secret: Option<&str>| {
            let reply = ask(address, method, &path, secret);
            let code =
                matches!(reply.status, 401 | 403).then(|| reply.json()["error"]["code"].clone());
            (reply.status, code)
        };
        let invalid = (401, Some(json!("invalid_api_key")));
        for stranger in [None, Some("lethe-sk-hush"), Some(secret("past").as_str())] {
            assert_eq!(code(stranger), invalid, "{method} {path}");
        }
        for id in ["infer", "write", "metrics"] {
            let (status, error) = code(Some(&secret(id)));
            match good.contains(&id) {
                true => assert!(error.is_none(), "{method} {path} refuses {id}: {status}"),
                false => assert_eq!((status, error), (403, Some(json!("insufficient_scope")))),
            }
        }
    }
}

/// The tables above have all routes that the program enters: those of the API make its document.
#[test]
fn no_route_is_left_out() {
    let document = api_document();
    let paths = document["paths"].as_object().expect("paths").iter();
    let entered = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").keys();
        methods.map(move |method| (method.to_uppercase(), path.clone()))
    });
    let tested = API.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(entered.collect::<BTreeSet<_>>(), tested.collect());
    let source = include_str!("../../../src/routes/ops.rs");
    assert_eq!(source.matches("guarded(\"/").count(), OPS.len());
}

#[test]
fn probes_need_no_key_and_unknown_paths_say_nothing_else() {
    let guarded = open();
    for path in ["/livez", "/readyz", "/startupz"] {
        assert_eq!(guarded.house.ops(path).status, 200, "{path}");
    }
    assert_eq!(guarded.house.get("/v1/nothing").status, 404);
    assert_eq!(guarded.house.get("/v1/chat/completions").status, 405);
}

#[test]
fn a_refusal_tells_how_and_no_secret_and_is_counted_by_key() {
    let guarded = open();
    let address = guarded.house.address;
    let reply = ask(address, "GET", "/v1/models", Some("lethe-sk-hush"));
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    assert!(!reply.text().contains("hush"), "{}", reply.text());
    let reply = ask(address, "GET", "/v1/models", None);
    assert!(reply.text().contains("Authorization: Bearer"), "{}", reply.text());
    let reply = ask(address, "GET", "/v1/models", Some(&secret("write")));
    assert!(reply.text().contains("infer"), "{}", reply.text());
    ask(address, "GET", "/v1/models", Some(&secret("past")));
    assert_eq!(guarded.chat("infer", json!({})).status, 200);
    let page = guarded.metrics("metrics");
    for line in [
        r#"lethe_key_requests_total{key="",outcome="missing"} 1"#,
        r#"lethe_key_requests_total{key="",outcome="unknown"} 1"#,
        r#"lethe_key_requests_total{key="past",outcome="expired"} 1"#,
        r#"lethe_key_requests_total{key="write",outcome="insufficient_scope"} 1"#,
        r#"lethe_key_requests_total{key="infer",outcome="accepted"} 1"#,
        r#"lethe_requests_rejected_total{reason="invalid_api_key"} 3"#,
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("hush"));
}

#[test]
fn a_stranger_is_refused_before_the_body_is_read() {
    let guarded = open();
    let head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n";
    let reply = crate::client::receive(crate::client::send_raw(guarded.house.address, head));
    assert_eq!(reply.status, 401);
}

#[test]
fn a_gateway_does_not_start_with_a_key_file_that_it_does_not_understand() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.toml");
    let start = || {
        let settings = crate::house::settings(&[("keys.file", path.to_str().expect("UTF-8"))]);
        gateway_server::startup::Bound::new(&settings).map(drop).expect_err("no keys").to_string()
    };
    assert_eq!(start(), "the key file cannot be read: entity not found");
    std::fs::write(&path, entry("a", "'everything'", "")).expect("written");
    assert!(start().starts_with("key 1 of the key file: scopes are"), "{}", start());
}

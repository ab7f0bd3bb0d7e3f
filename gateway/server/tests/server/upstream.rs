//! The whole gateway before scripted servers: what it adds works as with its own engine.

mod https;

use std::sync::Arc;

use gateway_engine::scripted::upstream::{ScriptedUpstream, Trouble, UpstreamScript};
use gateway_server::{Loaded, local};
use gateway_toxicity::scripted::ScriptedScorer;
use serde_json::{Value, json};

use crate::client::{Incoming, Reply, send};
use crate::hosting::{Running, run};
use crate::house::{chat, settings};

/// A gateway before two servers.
pub(crate) struct Upstream {
    running: Running,
    pub(crate) servers: [ScriptedUpstream; 2],
    _home: tempfile::TempDir,
}

impl Upstream {
    pub(crate) fn open(flags: &[(&'static str, &str)]) -> Self {
        Self::at(ScriptedUpstream::url, flags)
    }

    /// The same, with servers at the addresses that `url` says.
    fn at(url: impl Fn(&ScriptedUpstream) -> String, flags: &[(&'static str, &str)]) -> Self {
        let start = || ScriptedUpstream::start(UpstreamScript::default()).expect("a port");
        let servers = [start(), start()];
        let home = tempfile::tempdir().expect("a folder");
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");
        let urls = servers.each_ref().map(url).join(",");
        let (model, adapters) = (format!("{fixtures}/tiny-llama"), format!("{fixtures}/adapters"));
        let own = [
            ("model", model.as_str()),
            ("adapters", &adapters),
            ("home", home.path().to_str().expect("a path")),
            ("engine.kind", "upstream"),
            ("upstream.servers", &urls),
            ("upstream.model", "base"),
        ];
        let settings = settings(&[&own, flags].concat());
        let loaded = local::load(&settings).expect("the fixture");
        let scorer = Arc::new(ScriptedScorer::default());
        let running = run(settings, move || Ok(Loaded { scorer, ..loaded }));
        while running.gateway.phase() == gateway_server::Phase::Starting {
            std::thread::yield_now();
        }
        Self { running, servers, _home: home }
    }

    fn begin(&self, fields: Value) -> Incoming {
        self.begin_with(fields, &[])
    }

    pub(crate) fn begin_with(&self, fields: Value, headers: &[(&str, &str)]) -> Incoming {
        let mut body = chat(fields);
        body["model"] = "tiny-llama".into();
        let headers = [&[("content-type", "application/json")], headers].concat();
        let path = "/v1/chat/completions";
        send(self.running.addresses.0, "POST", path, &headers, body.to_string().as_bytes())
    }

    fn chat(&self, fields: Value) -> Reply {
        self.begin(fields).finish()
    }

    fn page(&self) -> String {
        send(self.running.addresses.1, "GET", "/metrics", &[], b"").finish().text().to_owned()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = (self.running.ending.try_send(()), self.running.ending.try_send(()));
    }
}

#[test]
fn adapters_are_chosen_echoed_and_counted() {
    let house = Upstream::open(&[]);
    let chosen = json!({"adapters": [{"name": "one", "scale": 0.5}], "max_tokens": 4});
    let reply = house.chat(chosen);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-lethe-adapters"), Some("one=0.5"));
    let body = reply.json();
    assert_eq!(body["lethe"]["adapters"][0]["name"], "one");
    assert_eq!(body["usage"]["completion_tokens"], 4);
    let page = house.page();
    for line in [
        r#"lethe_adapter_requests_total{adapter="one"} 1"#,
        r#"lethe_completion_tokens_total{adapters="one"} 4"#,
        r#"lethe_toxicity_score_count{adapters="one",category="hate""#,
        r#"lethe_upstream_placements_total{outcome="loaded",server="127.0.0.1:"#,
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
}

#[test]
fn a_stream_comes_token_by_token() {
    let house = Upstream::open(&[]);
    for server in &house.servers {
        server.trouble(Trouble::SilentAfter(2));
    }
    let mut incoming = house.begin(json!({"stream": true}));
    let mut seen = String::new();
    // The server says no more: what is here came before the answer's end.
    while seen.matches(r#""content":"#).count() < 3 {
        seen += &incoming.next_chunk().expect("a chunk");
    }
    drop(incoming);
    let hung_up = |server: &ScriptedUpstream| server.wait_for_hang_ups(1, crate::client::TIMEOUT);
    let asked = house.servers.iter().find(|server| !server.asked("/v1/completions").is_empty());
    assert!(hung_up(asked.expect("one was asked")), "the hang-up travels on");
    while house.running.gateway.admitted() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn servers_are_told_the_trace_of_the_request() {
    let house = Upstream::open(&[]);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("traceparent", parent), ("tracestate", "a=1 , b=2")];
    house.begin_with(json!({"max_tokens": 2, "n": 2}), &headers).finish();
    let told = |name| {
        let headers = |server: &ScriptedUpstream| server.headers("/v1/completions", name);
        house.servers.iter().flat_map(headers).collect::<Vec<_>>()
    };
    assert_eq!(told("traceparent"), [Some(parent.to_owned()), Some(parent.to_owned())]);
    assert_eq!(told("tracestate"), [Some("a=1,b=2".to_owned()), Some("a=1,b=2".to_owned())]);
}

#[test]
fn a_server_that_dies_in_a_stream_is_an_error_event() {
    let house = Upstream::open(&[]);
    for server in &house.servers {
        server.trouble(Trouble::ResetAfter(2));
    }
    let reply = house.chat(json!({"stream": true}));
    let events = reply.events();
    let last: Value = serde_json::from_str(events.last().expect("events")).expect("JSON");
    assert_eq!(last["error"]["code"], "upstream_failed", "{last}");
    while house.running.gateway.admitted() > 0 {
        std::thread::yield_now();
    }
    let next = house.chat(json!({"max_tokens": 2}));
    let second = house.chat(json!({"max_tokens": 2}));
    assert!(next.status == 200 || second.status == 200);
}

#[test]
fn what_servers_refuse_and_fail_at_has_its_status() {
    let house = Upstream::open(&[("upstream.attempts", "1")]);
    for (trouble, status, code) in [
        (Trouble::Status(400), 400, "upstream_refused"),
        (Trouble::Status(500), 502, "upstream_failed"),
        (Trouble::Status(503), 503, "upstream_unavailable"),
        (Trouble::Garbage, 502, "upstream_failed"),
    ] {
        for server in &house.servers {
            server.trouble(trouble.clone());
        }
        let replies = [house.chat(json!({})), house.chat(json!({"stream": true}))];
        for reply in replies {
            assert_eq!(reply.status, status, "{trouble:?}: {}", reply.text());
            assert_eq!(reply.json()["error"]["code"], code);
        }
    }
    let refused = house.chat(json!({"adapters": [
        {"name": "one", "scale": 1}, {"name": "two", "scale": 1}, {"name": "three", "scale": 1}
    ]}));
    assert_eq!(refused.status, 200, "ranks fit: {}", refused.text());
}

#[test]
fn an_adapter_that_no_server_has_is_a_400_streamed_or_not() {
    let house = Upstream::open(&[("upstream.dialect", "llama"), ("upstream.attempts", "1")]);
    for stream in [false, true] {
        let reply = house.chat(json!({"adapters": ["one"], "stream": stream}));
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert_eq!(reply.json()["error"]["code"], "upstream_refused");
    }
}

#[test]
fn ranks_beyond_the_limit_are_a_400_that_says_so() {
    let house = Upstream::open(&[("upstream.max_rank", "4")]);
    let reply = house.chat(json!({"adapters": ["one", "two", "three"]}));
    assert_eq!(reply.status, 400);
    let error = &reply.json()["error"];
    assert_eq!(error["param"], "adapters");
    assert!(error["message"].as_str().expect("text").contains("takes 4"), "{error}");
}

#[test]
fn shadow_runs_compare_without_divergences() {
    let house = Upstream::open(&[("shadow.rate", "1")]);
    house.chat(json!({"adapters": ["one"], "max_tokens": 4}));
    let line = r#"lethe_shadow_runs_total{outcome="compared"} 1"#;
    let page = loop {
        let page = house.page();
        if page.contains("lethe_shadow_runs_total{") {
            break page;
        }
        std::thread::yield_now();
    };
    assert!(page.contains(line), "{page}");
    assert!(!page.contains("lethe_shadow_kl_nats_per_token_bucket"));
}

//! Shadow runs: what is compared, what is told, and that nobody else notices.

use std::sync::Arc;
use std::time::Instant;

use gateway_engine::scripted::Script;
use gateway_server::Loaded;
use gateway_server::local;
use gateway_toxicity::scripted::ScriptedScorer;
use serde_json::{Value, json};

use crate::client::{TIMEOUT, send};
use crate::hosting::{Running, run};
use crate::house::{House, chat, settings};

pub(crate) const ALWAYS: &[(&str, &str)] = &[("shadow.rate", "1")];

fn page(house: &House) -> String {
    house.ops("/metrics").text().to_owned()
}

/// Waits until the metrics have that text; the page then.
fn until(page: impl Fn() -> String, text: &str) -> String {
    let started = Instant::now();
    loop {
        let page = page();
        if page.contains(text) {
            return page;
        }
        assert!(started.elapsed() < TIMEOUT, "{text} is not in\n{page}");
        std::thread::yield_now();
    }
}

/// Waits until so many runs have ended so; the metrics then.
pub(crate) fn ended(house: &House, outcome: &str, runs: u64) -> String {
    let line = format!("lethe_shadow_runs_total{{outcome=\"{outcome}\"}} {runs}\n");
    until(|| page(house), &line)
}

#[test]
fn the_metrics_are_told_what_the_adapters_changed() {
    let script = Script {
        reply: Some("all is well".to_owned()),
        base_reply: Some("all is zorp and more".to_owned()),
        ..Script::default()
    };
    let house = House::with_settings(script, ALWAYS);
    let reply = house.chat(json!({"adapters": ["gender"]}));
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "all is well");
    let page = ended(&house, "compared", 1);
    for line in [
        // 0.01 is less than 0.8 by 0.79, and than 0.7 by 0.69; what neither said is the same.
        r#"lethe_shadow_toxicity_delta_bucket{adapters="gender",category="toxicity",scorer="scripted-1-00000000",le="-0.5"} 1"#,
        r#"lethe_shadow_toxicity_delta_bucket{adapters="gender",category="toxicity",scorer="scripted-1-00000000",le="-0.9"} 0"#,
        r#"lethe_shadow_toxicity_delta_bucket{adapters="gender",category="bias/gender",scorer="scripted-1-00000000",le="-0.5"} 1"#,
        r#"lethe_shadow_toxicity_delta_bucket{adapters="gender",category="hate",scorer="scripted-1-00000000",le="-0.001"} 0"#,
        r#"lethe_shadow_toxicity_delta_bucket{adapters="gender",category="hate",scorer="scripted-1-00000000",le="0.001"} 1"#,
        // A token is a byte.
        r#"lethe_shadow_length_delta_tokens_sum{adapters="gender"} -9"#,
        // A script is equally sure with and without adapters.
        r#"lethe_shadow_kl_nats_per_token_sum{adapters="gender"} 0"#,
        r#"lethe_shadow_kl_nats_per_token_count{adapters="gender"} 1"#,
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    assert!(page.contains(r#"lethe_completion_tokens_total{adapters="gender"}"#), "{page}");
    assert!(!page.contains(r#"lethe_completion_tokens_total{adapters="none"}"#), "not a request");
}

#[test]
fn requests_without_adapters_and_answers_that_are_cut_are_not_run_again() {
    let script = Script { reply: Some("this is zorp".to_owned()), ..Script::default() };
    let house = House::with_settings(script, ALWAYS);
    house.chat(json!({}));
    let policy = json!({"model": "scripted", "policy": {"output": {"mode": "block"}}});
    let cut = house.chat(json!({"adapters": ["gender"], "moderation": policy}));
    assert_eq!(cut.json()["choices"][0]["finish_reason"], "content_filter");
    house.chat(json!({"adapters": ["race"], "n": 3, "stream": true}));
    let page = ended(&house, "compared", 1);
    assert!(
        page.contains(r#"lethe_shadow_length_delta_tokens_count{adapters="race"} 1"#),
        "{page}"
    );
    assert!(!page.contains(r#"lethe_shadow_length_delta_tokens_count{adapters="gender"}"#));
}

#[test]
fn no_request_is_run_again_unless_that_is_set() {
    let house = House::open(Script::default());
    house.chat(json!({"adapters": ["gender"]}));
    assert!(!page(&house).contains("lethe_shadow"));
}

#[test]
fn a_run_whose_time_has_passed_is_given_up() {
    let flags = [("shadow.rate", "1"), ("shadow.deadline_seconds", "0")];
    let house = House::with_settings(Script::default(), &flags);
    house.chat(json!({"adapters": ["gender"]}));
    let page = ended(&house, "expired", 1);
    assert!(!page.contains("lethe_shadow_length"), "{page}");
}

/// A gateway with the local engine on the fixture model.
struct Local {
    running: Running,
    _home: tempfile::TempDir,
}

impl Local {
    fn open(rate: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");
        let (model, adapters) = (format!("{fixtures}/tiny-llama"), format!("{fixtures}/adapters"));
        let settings = settings(&[
            ("model", &model),
            ("adapters", &adapters),
            ("home", home.path().to_str().expect("a path")),
            ("engine.kv_bytes", "131072"),
            ("shadow.rate", rate),
        ]);
        let loaded = local::load(&settings).expect("the fixture");
        let scorer = Arc::new(ScriptedScorer::default());
        let running = run(settings, move || Ok(Loaded { scorer, ..loaded }));
        while running.gateway.phase() == gateway_server::Phase::Starting {
            std::thread::yield_now();
        }
        Self { running, _home: home }
    }

    fn chat(&self, seed: usize) -> Value {
        let fields = json!({
            "model": "tiny-llama",
            "adapters": [{"name": "one", "scale": 1.5}],
            "seed": seed,
            "max_tokens": 20,
            "logprobs": true,
        });
        let headers = [("content-type", "application/json")];
        let body = chat(fields).to_string();
        let address = self.running.addresses.0;
        let path = "/v1/chat/completions";
        let reply = send(address, "POST", path, &headers, body.as_bytes()).finish();
        reply.json()["choices"][0].clone()
    }

    fn page(&self) -> String {
        send(self.running.addresses.1, "GET", "/metrics", &[], b"").finish().text().to_owned()
    }

    fn close(self) {
        let _ = (self.running.ending.try_send(()), self.running.ending.try_send(()));
        self.running.thread.join().expect("no panic").expect("it ended");
    }
}

/// Answers to requests that come at the same time.
fn answers(local: &Local) -> Vec<Value> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..12).map(|seed| scope.spawn(move || local.chat(seed))).collect();
        asked.into_iter().map(|asked| asked.join().expect("answered")).collect()
    })
}

#[test]
fn answers_have_the_same_bits_with_and_without_shadow_runs() {
    let (plain, shadowed) = (Local::open("0"), Local::open("1"));
    let without = answers(&plain);
    // The second time with runs of the first still under way.
    assert_eq!(answers(&shadowed), without);
    assert_eq!(answers(&shadowed), without);
    let page = until(|| shadowed.page(), r#"lethe_shadow_runs_total{outcome="compared"}"#);
    assert!(page.contains(r#"lethe_shadow_kl_nats_per_token_bucket{adapters="one""#), "{page}");
    plain.close();
    shadowed.close();
}

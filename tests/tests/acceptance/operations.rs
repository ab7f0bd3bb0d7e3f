//! What `deploy` and `docs/operations.md` name is there: metrics, settings, and what to do for an alert.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gateway_server::Metrics;
use gateway_server::settings::KEYS;
use serde_json::json;

use crate::client::send;
use crate::house::{House, chat};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const CHAT: &str = "/v1/chat/completions";

/// The texts of `docs/operations.md` and of everything in `deploy` that an operator takes, by path.
fn texts() -> BTreeMap<String, String> {
    let mut texts = BTreeMap::from([read("docs/operations.md")]);
    for part in
        ["compose", "docker", "grafana", "helm", "inference-extension", "prometheus", "systemd"]
    {
        collect(&format!("deploy/{part}"), &mut texts);
    }
    texts
}

fn collect(folder: &str, texts: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(Path::new(ROOT).join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = format!("{folder}/{}", entry.file_name().to_str().expect("UTF-8"));
        match entry.file_type().expect("a type").is_dir() {
            true => collect(&path, texts),
            false => texts.extend([read(&path)]),
        }
    }
}

fn read(path: &str) -> (String, String) {
    (path.to_owned(), std::fs::read_to_string(Path::new(ROOT).join(path)).expect(path))
}

/// Names of metrics and variables in a text, and other words.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let between = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
    text.split(between).map(|word| word.trim_matches(':'))
}

/// What stands behind `key` in lines such as `  - record: NAME`.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '-']));
    lines.filter_map(move |line| line.strip_prefix(key)?.strip_prefix(": "))
}

/// A gateway that has had a request of every kind that dashboards and alerts know.
fn used() -> House {
    // Nobody listens at port 1.
    let flags = [
        ("shadow.rate", "1"),
        ("moderation.thresholds", "toxicity=0"),
        ("otel.endpoint", "http://127.0.0.1:1"),
    ];
    let house = House::with_settings(&flags);
    let counted = |series: &str| house.wait_until(series, || house.metric(series) > 0.5);
    house.choices(json!({"adapters": ["one"], "ignore_eos": true}));
    counted(r#"lethe_shadow_runs_total{outcome="compared"}"#);
    house.load("one", "two");
    house.post(CHAT, chat(json!({"temperature": 9})));
    let strict = json!({"model": "lethe-toxicity", "policy": {"input": {"mode": "block"}}});
    house.post(CHAT, chat(json!({"moderation": strict})));
    let endless = json!({"stream": true, "ignore_eos": true, "max_tokens": 250, "n": 16});
    house.begin(CHAT, chat(endless)).next_chunk().expect("the roles");
    counted(r#"lethe_requests_cancelled_total{route="/v1/chat/completions"}"#);
    house
}

/// The metrics of a gateway that asks for keys.
fn guarded_page() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.toml");
    // The digest of "abc" is in FIPS 180-4's examples.
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let key = format!("[[keys]]\nid = 'k'\nhash = 'sha256:{hash}'\nscopes = ['metrics']");
    std::fs::write(&file, key).expect("written");
    let house = House::with_settings(&[("keys.file", file.to_str().expect("UTF-8"))]);
    let headers = [("authorization", "Bearer abc")];
    let reply = send(house.ops_address, "GET", "/metrics", &headers, b"").finish();
    reply.text().to_owned()
}

/// The metrics of a gateway before a server that is not there.
fn fleet_page() -> String {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let server = format!("http://{}", nowhere.expect("an address"));
    let house = House::with_settings(&[("engine.kind", "upstream"), ("upstream.servers", &server)]);
    house.post(CHAT, chat(json!({})));
    house.ops("/metrics").text().to_owned()
}

/// The names of a page's metrics, and those of their series where they differ.
fn names(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter_map(|line| line.trim_start_matches("# TYPE ").split(['{', ' ']).next())
}

#[test]
fn every_metric_that_is_shown_or_alerted_on_is_one_that_the_gateway_has() {
    let texts = texts();
    let recorded: BTreeSet<&str> =
        values(&texts["deploy/prometheus/recording.yaml"], "record").collect();
    let house = used();
    let [own, vllm] = ["/metrics", "/metrics/vllm"].map(|path| house.ops(path).text().to_owned());
    let (guarded, fleet) = (guarded_page(), fleet_page());
    let pages = [&own, &vllm, &guarded, &fleet].into_iter().flat_map(|page| names(page));
    let exposed: BTreeSet<&str> = pages.collect();
    let mut seen = 0;
    for (path, text) in &texts {
        for word in words(text).filter(|word| word.contains("lethe_") || word.contains("vllm:")) {
            let known = exposed.contains(word) || recorded.contains(word);
            assert!(known, "{path} names {word}, which does not exist");
            seen += 1;
        }
    }
    assert!(seen > 100 && !recorded.is_empty());
}

/// The labels by which queries of a text group, and those that they match.
fn labels(text: &str) -> impl Iterator<Item = &str> {
    let inside = |open: &'static str, close: char| {
        let parts = text.split(open).skip(1).filter_map(move |part| part.split(close).next());
        parts.flat_map(|part| part.split(',')).map(str::trim)
    };
    let matched = inside("{", '}').filter_map(|part| {
        let (label, value) = part.split_once('=')?;
        value.trim_start_matches(['~', '\\']).starts_with('"').then_some(label)
    });
    inside(" by (", ')').chain(matched).filter(|label| words(label).eq([*label]))
}

#[test]
fn every_label_that_is_asked_for_exists() {
    let own = Metrics::ALL.iter().flat_map(|(_, _, labels, _)| labels.iter().copied());
    let known: BTreeSet<&str> = own.chain(["job", "instance", "le"]).collect();
    let mut seen = 0;
    for (path, text) in &texts() {
        for label in labels(text) {
            assert!(known.contains(label), "{path} asks for {label}, which does not exist");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn every_setting_that_is_named_exists() {
    let variables: BTreeSet<String> =
        KEYS.iter().map(|key| key.variable()).chain(["LETHE_CONFIG".to_owned()]).collect();
    let flags: BTreeSet<String> = KEYS
        .iter()
        .map(|key| format!("--{}", key.flag()))
        .chain(
            ["--config", "--check-config", "--id", "--scopes", "--file", "--holds"]
                .map(str::to_owned),
        )
        .collect();
    for (path, text) in &texts() {
        // The chart makes variables of the keys under `settings`.
        let is_variable = |word: &&str| word.starts_with("LETHE_") && *word != "LETHE_";
        for word in words(text).filter(is_variable) {
            assert!(variables.contains(word), "{path} names {word}, which does not exist");
        }
        let calls = text.lines().filter_map(|line| line.split_once("lethe-gateway "));
        let arguments = calls.flat_map(|(_, arguments)| arguments.split([' ', '`']));
        for flag in arguments.filter(|argument| argument.starts_with("--")) {
            assert!(flags.contains(flag), "{path} names {flag}, which does not exist");
        }
        for key in chart_settings(text) {
            assert!(KEYS.iter().any(|k| k.name == key), "{path} sets {key}, which does not exist");
        }
    }
}

/// The keys of a values file's table `settings`.
fn chart_settings(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().skip_while(|line| *line != "settings:").skip(1);
    let inside = lines.take_while(|line| line.starts_with("  "));
    inside
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(':').next())
}

#[test]
fn every_alert_says_what_to_do() {
    let (_, alerts) = read("deploy/prometheus/alerts.yaml");
    let (_, page) = read("docs/operations.md");
    let names: Vec<&str> = values(&alerts, "alert").collect();
    let links: Vec<&str> = values(&alerts, "runbook_url").collect();
    let anchors: Vec<String> =
        names.iter().map(|name| format!("docs/operations.md#{}", name.to_lowercase())).collect();
    assert_eq!(links, anchors);
    let headings: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(headings, names.into_iter().collect());
}

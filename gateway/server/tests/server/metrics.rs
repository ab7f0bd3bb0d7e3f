use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use gateway_engine::scripted::Script;
use serde_json::json;

use crate::client::{Reply, send};
use crate::house::{House, chat};
use crate::shadow::{ALWAYS, ended};

/// A gateway that has had a request of every kind.
fn used() -> House {
    used_with(&[])
}

fn used_with(flags: &[(&'static str, &str)]) -> House {
    let house = House::with_settings(Script::default(), flags);
    house.chat(json!({"adapters": ["gender"], "user": "u", "frobnicate": 1}));
    house.chat(json!({"stream": true}));
    house.chat(json!({"temperature": 9}));
    house.get("/v1/nothing");
    house.post("/v1/adapters", json!({"name": "gender", "source": "race"}));
    house.post("/v1/adapters", json!({"name": "x", "source": "nowhere"}));
    let moderation = json!({"model": "scripted", "policy": {"input": {"mode": "block"}}});
    house
        .chat(json!({"moderation": moderation, "messages": [{"role": "user", "content": "zorp"}]}));
    house.post("/v1/moderations", json!({"input": "zorp"}));
    house
}

fn series(page: &str) -> BTreeSet<String> {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn requests_tokens_and_adapters_are_counted() {
    let page = used().ops("/metrics").text().to_owned();
    for line in [
        r#"lethe_requests_total{adapters="gender",route="/v1/chat/completions",status="200"} 1"#,
        r#"lethe_requests_total{adapters="none",route="/v1/chat/completions",status="200"} 2"#,
        r#"lethe_requests_total{adapters="",route="unmatched",status="404"} 1"#,
        r#"lethe_requests_rejected_total{reason="invalid_value"} 1"#,
        r#"lethe_ignored_fields_total{field="user"} 1"#,
        r#"lethe_ignored_fields_total{field="other"} 1"#,
        r#"lethe_adapter_requests_total{adapter="gender"} 1"#,
        r#"lethe_adapter_rank{adapter="gender"} 3"#,
        r#"lethe_time_to_first_token_seconds_count{adapters="gender"} 1"#,
        r#"lethe_time_per_output_token_seconds_count{adapters="gender"} 1"#,
        r#"lethe_adapter_swaps_total{adapter="gender"} 1"#,
        r#"lethe_adapter_load_seconds_count{adapter="gender",outcome="loaded"} 1"#,
        "lethe_adapters_loaded 2",
        r#"lethe_adapter_load_seconds_count{adapter="other",outcome="refused"} 1"#,
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}

/// T12: LiteLLM made a series of every name that was asked for (issue 39136).
#[test]
fn random_names_add_no_series() {
    let house = used();
    let ask = |name: &str| {
        house.chat(json!({"model": name}));
        house.chat(json!({"adapters": [name]}));
        house.chat(json!({name: 1}));
        house.chat(json!({"moderation": {"model": name}}));
        house.post("/v1/moderations", json!({"input": name, "model": name}));
        house.post("/v1/adapters", json!({"name": name, "source": "nowhere"}));
        house.get(&format!("/v1/models/{name}"));
        house.get(&format!("/{name}"));
    };
    ask("first");
    let before = series(house.ops("/metrics").text());
    for number in 0..50 {
        ask(&format!("name-{number}"));
    }
    assert_eq!(series(house.ops("/metrics").text()), before);
}

#[test]
fn sets_beyond_the_limit_are_folded() {
    let house = House::with_settings(Script::default(), &[("metrics.adapter_sets", "2")]);
    for fields in
        [json!({}), json!({"adapters": ["gender"]}), json!({"adapters": ["gender", "race"]})]
    {
        house.chat(fields);
    }
    let page = house.ops("/metrics").text().to_owned();
    assert!(page.contains(r#"lethe_prompt_tokens_total{adapters="other"}"#), "{page}");
    assert!(!page.contains("gender+race"));
}

/// The metrics of a gateway that has had a request of every kind, and a shadow run.
fn full_page() -> String {
    ended(&used_with(ALWAYS), "compared", 1)
}

/// The rules that `promtool check metrics` knows, as far as they can be broken here.
#[test]
fn names_and_help_texts_follow_the_rules() {
    let page = full_page();
    let meta = |kind: &str| -> BTreeMap<String, String> {
        let lines = page.lines().filter_map(|line| line.strip_prefix(kind));
        lines
            .filter_map(|line| line.split_once(' '))
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect()
    };
    let (help, kind) = (meta("# HELP "), meta("# TYPE "));
    assert!(kind.len() > 20, "{page}");
    for (name, kind) in &kind {
        assert!(help.get(name).is_some_and(|text| !text.is_empty()), "{name} has no help");
        assert!(name.starts_with("lethe_") && !name.contains(':'), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        assert!(kind == "gauge" || !name.contains("_info"), "{name} is a {kind}");
        for word in ["milliseconds", "minutes", "kilobytes", "percent", "_count", "_sum", "_bucket"]
        {
            assert!(!name.contains(word), "{name}");
        }
    }
}

/// The same by Prometheus' own program, where it is installed; the rules above always run.
#[test]
fn promtool_has_no_complaint() {
    let page = full_page();
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        println!("promtool is not installed; only the rules in this file were checked");
        return;
    };
    promtool.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("written");
    let output = promtool.wait_with_output().expect("it ran");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0";

fn page_as(house: &House, accept: &str) -> Reply {
    send(house.ops_address, "GET", "/metrics", &[("accept", accept)], b"").finish()
}

#[test]
fn openmetrics_is_for_who_asks_for_it() {
    let house = House::open(Script::default());
    // What Prometheus sends whose scrape protocols begin with it (`acceptHeader` of its scrape.go).
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=0.0.1;q=0.5,\
        text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for accept in [OPENMETRICS, prometheus, "application/openmetrics-text, text/plain"] {
        let reply = page_as(&house, accept);
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(reply.header("content-type"), Some(kind), "{accept}");
        assert!(reply.text().ends_with("\n# EOF\n"));
        assert!(reply.text().contains("# TYPE lethe_preemptions counter\n"));
        assert!(reply.text().contains("\nlethe_preemptions_total 0\n"));
    }
    for accept in [
        "*/*",
        "text/plain",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;version=1.0.0;q=0",
        "application/openmetrics-text;version=1.0.0;q=0.2,text/plain;q=0.5",
        "not a list of types",
    ] {
        let reply = page_as(&house, accept);
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        assert_eq!(reply.header("content-type"), Some(kind), "{accept}");
        assert!(reply.text().contains("# TYPE lethe_preemptions_total counter\n"));
    }
    assert!(house.ops("/metrics").text().contains("# TYPE lethe_preemptions_total counter\n"));
}

/// The samples of a page, but for how numbers in labels are written, and exemplars.
fn samples(page: &str) -> BTreeSet<String> {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let plain =
        samples.map(|line| line.split(" # ").next().unwrap_or(line).replace(".0\"}", "\"}"));
    plain.map(|line| line.replace("5e-05", "0.00005")).collect()
}

#[test]
fn both_formats_say_the_same() {
    let house = used_with(ALWAYS);
    let text = ended(&house, "compared", 1);
    let (text, open) = (samples(&text), samples(page_as(&house, OPENMETRICS).text()));
    let only: Vec<_> = text.symmetric_difference(&open).collect();
    assert!(text.len() > 300);
    // A sum of what may be negative is none in OpenMetrics, and so there is no count.
    for line in only {
        let known = line.starts_with("lethe_shadow_") && text.contains(line);
        let ending = line.split('{').next().unwrap_or_default();
        assert!(known && (ending.ends_with("_sum") || ending.ends_with("_count")), "{line}");
    }
}

#[test]
fn a_sampled_trace_is_an_exemplar_where_the_format_has_any() {
    let house = House::open(Script::default());
    let trace =
        |id: char, flags| format!("00-{}-00f067aa0ba902b7-{flags}", id.to_string().repeat(32));
    for (id, flags) in [('a', "01"), ('b', "00")] {
        let parent = trace(id, flags);
        let body = chat(json!({"adapters": ["gender"], "max_tokens": 9}));
        house.begin("/v1/chat/completions", body, &[("traceparent", &parent)]).finish();
    }
    house.chat(json!({}));
    let has = |page: &str, start: &str| {
        let lines = page.lines().filter(|line| line.starts_with(start));
        let with = format!(" # {{trace_id=\"{}\"}} ", "a".repeat(32));
        lines.filter(|line| line.contains(&with)).count()
    };
    // Scores, and the end of a request, may come after its answer.
    let page = loop {
        let page = page_as(&house, OPENMETRICS).text().to_owned();
        let scored = has(&page, "lethe_toxicity_score_bucket{") == 8;
        if scored && has(&page, "lethe_request_duration_seconds_bucket{") > 0 {
            break page;
        }
        std::thread::yield_now();
    };
    for name in [
        "lethe_request_duration_seconds_bucket{adapters=\"gender\"",
        "lethe_time_to_first_token_seconds_bucket{adapters=\"gender\"",
        "lethe_time_per_output_token_seconds_bucket{adapters=\"gender\"",
    ] {
        assert_eq!(has(&page, name), 1, "{name} in\n{page}");
    }
    assert!(!page.contains(&"b".repeat(32)), "it is not sampled");
    assert_eq!(page.matches(" # {").count(), 3 + 8, "one for each observation of the one trace");
    let text = house.ops("/metrics").text().to_owned();
    assert!(!text.contains("trace_id") && !text.contains("# EOF"));
}

#[test]
fn schedulers_find_the_gauges_that_they_know() {
    let page = used().ops("/metrics/vllm").text().to_owned();
    assert!(page.contains(r#"vllm:lora_requests_info{max_lora="256",running_lora_adapters="",waiting_lora_adapters=""} 1"#), "{page}");
    for name in
        ["vllm:num_requests_running 0", "vllm:num_requests_waiting 0", "vllm:kv_cache_usage_perc 0"]
    {
        assert!(page.contains(name), "{page}");
    }
}

use serde_json::json;

use super::{Guarded, ask, entry, secret};

fn open(keys: &str) -> Guarded {
    let keys = entry("watcher", "'metrics'", "") + keys;
    Guarded::with_settings(&keys, &[("keys.reload_seconds", "0.001")])
}

fn status(guarded: &Guarded, id: &str) -> u16 {
    ask(guarded.house.address, "GET", "/v1/models", Some(&secret(id))).status
}

/// The metrics, once they have this line.
fn wait_for(guarded: &Guarded, line: &str) -> String {
    loop {
        let page = guarded.metrics("watcher");
        if page.lines().any(|found| found == line) {
            return page;
        }
        std::thread::yield_now();
    }
}

#[test]
fn keys_come_and_go_while_requests_are_answered() {
    let guarded = open(&entry("old", "'infer'", ""));
    assert_eq!((status(&guarded, "old"), status(&guarded, "new")), (200, 401));
    let watcher = entry("watcher", "'metrics'", "");
    guarded
        .replace(&(watcher.clone() + &entry("old", "'infer'", "") + &entry("new", "'infer'", "")));
    while status(&guarded, "new") != 200 {
        std::thread::yield_now();
    }
    assert_eq!(status(&guarded, "old"), 200, "both count while clients change");
    guarded.replace(&(watcher + &entry("new", "'infer'", "")));
    while status(&guarded, "old") != 401 {
        std::thread::yield_now();
    }
    assert_eq!(status(&guarded, "new"), 200);
    let page = wait_for(&guarded, r#"lethe_key_reloads_total{outcome="loaded"} 2"#);
    assert!(page.contains("\nlethe_keys_stale 0\n"), "{page}");
}

#[test]
fn rules_that_change_hold_for_the_next_request() {
    let guarded = open(&entry("k", "'infer'", ""));
    assert_eq!(guarded.chat("k", json!({})).header("x-lethe-adapters"), Some(""));
    let keys =
        entry("watcher", "'metrics'", "") + &entry("k", "'infer'", "minimum = { gender = 0.5 }");
    guarded.replace(&keys);
    wait_for(&guarded, r#"lethe_key_reloads_total{outcome="loaded"} 1"#);
    while guarded.chat("k", json!({})).header("x-lethe-adapters") != Some("gender=0.5") {
        std::thread::yield_now();
    }
}

#[test]
fn a_file_that_cannot_be_used_leaves_the_former_keys() {
    let guarded = open(&entry("k", "'infer'", ""));
    let refused = |count: u32| {
        let line = format!("lethe_key_reloads_total{{outcome=\"refused\"}} {count}");
        let page = wait_for(&guarded, &line);
        assert!(page.contains("\nlethe_keys_stale 1\n"), "{page}");
        assert_eq!(status(&guarded, "k"), 200);
    };
    let good = std::fs::read_to_string(guarded.path()).expect("the file");
    guarded.replace("[[keys]]\nid = 'k'\n");
    refused(1);
    // Written beside: an empty file, as writing begins with, lets nobody in.
    guarded.replace(&good[..good.len() / 2]);
    refused(2);
    std::fs::remove_file(guarded.path()).expect("removed");
    refused(3);
    guarded.replace(&good);
    wait_for(&guarded, "lethe_keys_stale 0");
    assert_eq!(status(&guarded, "k"), 200);
}

#[test]
fn an_empty_file_lets_nobody_in() {
    let guarded = open(&entry("k", "'infer'", ""));
    guarded.replace("");
    while status(&guarded, "k") != 401 {
        std::thread::yield_now();
    }
}

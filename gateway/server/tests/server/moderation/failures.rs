use std::sync::Arc;

use gateway_engine::scripted::Script;
use gateway_server::Loaded;
use gateway_server::settings::Presets;
use gateway_toxicity::scripted::POISON;
use serde_json::json;

use super::{BLOCK_INPUT, BLOCK_OUTPUT, asking, both, saying};
use crate::client::Reply;
use crate::house::{House, chat};

fn failing(flags: &[(&'static str, &str)]) -> House {
    let house = saying("one two three", flags);
    house.scorer.fail(true);
    house
}

fn count(house: &House, series: &str) -> f64 {
    let page = house.ops("/metrics").text().to_owned();
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

#[test]
fn where_texts_are_blocked_a_failed_scorer_closes_unless_told_otherwise() {
    for flag in [BLOCK_INPUT, BLOCK_OUTPUT] {
        let house = failing(&[flag]);
        let answer = both(&house, asking("score", "score"));
        assert_eq!((answer.text.as_str(), answer.finish), ("", json!("content_filter")));
        let direction = flag.0.trim_start_matches("moderation.");
        assert_eq!(answer.moderation[direction]["type"], "error");
        assert_eq!(answer.moderation[direction]["code"], "scorer_failed");
        let series = format!(
            "lethe_moderation_blocked_total{{adapters=\"none\",direction=\"{direction}\",reason=\"unscored\"}}"
        );
        assert!((count(&house, &series) - 2.0).abs() < 0.1);
    }
}

#[test]
fn an_operator_may_let_pass_what_cannot_be_scored() {
    let house = failing(&[BLOCK_INPUT, BLOCK_OUTPUT, ("moderation.on_failure", "open")]);
    let answer = both(&house, asking("block", "block"));
    assert_eq!((answer.text.as_str(), answer.finish), ("one two three", json!("stop")));
    assert_eq!(answer.moderation["output"]["code"], "scorer_failed");
    assert!(count(&house, "lethe_scorer_jobs_failed_total") > 0.5);
}

#[test]
fn where_texts_are_only_scored_a_failure_is_counted_and_told() {
    let house = failing(&[]);
    let answer = both(&house, asking("score", "score"));
    assert_eq!((answer.text.as_str(), answer.finish), ("one two three", json!("stop")));
    assert_eq!(answer.moderation["input"]["code"], "scorer_failed");
    assert!(count(&house, "lethe_scorer_jobs_failed_total") > 0.5);
    assert!(!house.ops("/metrics").text().contains("lethe_toxicity_score_count{"));
}

fn moderate(house: &House, text: &str) -> Reply {
    house.post("/v1/moderations", json!({"input": text}))
}

/// Fills the scorer: one job is being scored, `waiting` more wait.
fn fill<'scope, 'house: 'scope>(
    house: &'house House,
    scope: &'scope std::thread::Scope<'scope, 'house>,
    waiting: &[&'static str],
) -> Vec<std::thread::ScopedJoinHandle<'scope, Reply>> {
    house.scorer.hold();
    let first = scope.spawn(|| moderate(house, "first"));
    house.scorer.wait_until_held();
    let mut jobs = vec![first];
    for (number, text) in waiting.iter().copied().enumerate() {
        jobs.push(scope.spawn(move || moderate(house, text)));
        while count(house, "lethe_scorer_jobs_waiting") < number as f64 + 0.5 {
            std::thread::yield_now();
        }
    }
    jobs
}

#[test]
fn a_full_queue_is_refused_dropped_or_blocked_and_never_waited_for() {
    let house = saying("one two three", &[("scoring.queue_jobs", "1")]);
    std::thread::scope(|scope| {
        let jobs = fill(&house, scope, &["second"]);
        let refused = moderate(&house, "third");
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
        let scored = both(&house, asking("score", "score"));
        assert_eq!((scored.text.as_str(), scored.finish), ("one two three", json!("stop")));
        assert_eq!(scored.moderation["output"]["code"], "scorer_overloaded");
        let blocked = both(&house, asking("block", "score"));
        assert_eq!((blocked.text.as_str(), blocked.finish), ("", json!("content_filter")));
        assert_eq!(blocked.moderation["input"]["code"], "scorer_overloaded");
        let blocked = both(&house, asking("score", "block"));
        assert_eq!((blocked.text.as_str(), blocked.finish), ("", json!("content_filter")));
        assert!(count(&house, "lethe_scorer_jobs_dropped_total") > 4.5);
        house.scorer.release();
        assert!(jobs.into_iter().all(|job| job.join().expect("no panic").status == 200));
    });
    assert!(count(&house, "lethe_scorer_jobs_waiting") < 0.5);
}

#[test]
fn a_text_that_the_scorer_fails_on_fails_alone() {
    let house = saying("ok", &[]);
    std::thread::scope(|scope| {
        let jobs = fill(&house, scope, &["second", POISON, "fourth"]);
        house.scorer.release();
        let statuses = jobs.into_iter().map(|job| job.join().expect("no panic").status);
        assert_eq!(statuses.collect::<Vec<_>>(), [200, 200, 500, 200]);
    });
    assert!((count(&house, "lethe_scorer_jobs_failed_total") - 1.0).abs() < 0.1);
}

#[test]
fn the_deadline_holds_while_the_scorer_is_waited_for() {
    let deadline = ("limits.deadline_seconds", "0.05");
    for flag in [BLOCK_INPUT, BLOCK_OUTPUT] {
        let house = saying("one", &[flag, deadline]);
        house.scorer.hold();
        assert_eq!(house.chat(json!({})).status, 504);
        assert_eq!(moderate(&house, "x").status, 504);
        let stream = house.chat(json!({"stream": true}));
        assert_eq!(
            (stream.status, stream.json()["error"]["code"].clone()),
            (504, "deadline_exceeded".into())
        );
        house.wait_until_empty();
        house.scorer.release();
    }
}

#[test]
fn a_client_that_hangs_up_on_a_waiting_moderation_frees_its_place() {
    let house = saying("one", &[BLOCK_OUTPUT, ("stream.head_seconds", "0")]);
    house.scorer.hold();
    let mut running = house.begin("/v1/chat/completions", chat(json!({"stream": true})), &[]);
    running.next_chunk().expect("the role");
    house.scorer.wait_until_held();
    drop(running);
    house.wait_until_empty();
    house.scorer.release();
}

#[test]
fn a_threshold_for_a_category_without_scores_stops_the_start() {
    let house = House::open(Script::default());
    let loaded = Loaded {
        engine: Arc::clone(&house.engine) as _,
        catalogue: Arc::clone(&house.catalogue),
        presets: Presets::new(),
        scorer: Arc::clone(&house.scorer) as _,
    };
    let settings = crate::house::settings(&[("moderation.thresholds", "bias/race=0.5")]);
    let running = crate::hosting::run(settings, move || Ok(loaded));
    let error = running.thread.join().expect("no panic").expect_err("no such scores");
    assert!(error.to_string().contains("bias/race"), "{error}");
}

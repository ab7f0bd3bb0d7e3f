use gateway_engine::scripted::{Gate, Script};
use serde_json::json;

use super::{BLOCK_INPUT, BLOCK_OUTPUT, asking, saying};
use crate::house::{House, chat};

/// Waits until the metrics say so: the last score of a text may come after its last byte.
fn wait_for(house: &House, lines: &[&str]) {
    let mut page = String::new();
    let start = std::time::Instant::now();
    while !lines.iter().all(|line| page.lines().any(|found| found == *line)) {
        assert!(start.elapsed() < crate::client::TIMEOUT, "{lines:#?} are not in\n{page}");
        std::thread::yield_now();
        page = house.ops("/metrics").text().to_owned();
    }
}

fn scores(direction: &str, adapters: &str, count: usize) -> String {
    format!(
        "lethe_toxicity_score_count{{adapters=\"{adapters}\",category=\"toxicity\",\
         direction=\"{direction}\",scorer=\"scripted-1-00000000\"}} {count}"
    )
}

#[test]
fn every_prompt_and_answer_is_observed_once_under_its_adapters() {
    let house = saying("a b c d e f g zorp", &[]);
    house.chat(json!({"n": 2}));
    house.chat(asking("score", "score"));
    house.chat(json!({"stream": true, "adapters": ["gender"]}));
    let body = json!({"model": "tiny", "prompt": ["zorp", "b"], "n": 2, "max_tokens": 99});
    house.post("/v1/completions", body);
    house.post("/v1/moderations", json!({"input": "zorp"}));
    // No answer is asked for, only what the model thinks of the prompt.
    let body =
        json!({"model": "tiny", "prompt": "b", "max_tokens": 0, "echo": true, "logprobs": 0});
    house.post("/v1/completions", body);
    wait_for(
        &house,
        &[
            &scores("input", "none", 5),
            &scores("output", "none", 7),
            &scores("input", "gender", 1),
            &scores("output", "gender", 1),
            r#"lethe_moderation_flagged_total{adapters="none",category="toxicity",direction="output"} 7"#,
            r#"lethe_moderation_flagged_total{adapters="none",category="toxicity",direction="input"} 1"#,
            r#"lethe_scorer_info{version="scripted-1-00000000"} 1"#,
            "lethe_scorer_jobs_waiting 0",
        ],
    );
}

#[test]
fn blocked_texts_are_observed_flagged_and_counted() {
    let house = saying("zorp", &[BLOCK_OUTPUT, BLOCK_INPUT]);
    house.chat(json!({}));
    house.chat(json!({"messages": [{"role": "user", "content": "zorp"}]}));
    wait_for(
        &house,
        &[
            &scores("input", "none", 2),
            &scores("output", "none", 1),
            r#"lethe_moderation_blocked_total{adapters="none",direction="input",reason="flagged"} 1"#,
            r#"lethe_moderation_blocked_total{adapters="none",direction="output",reason="flagged"} 1"#,
            r#"lethe_moderation_flagged_total{adapters="none",category="bias/gender",direction="input"} 1"#,
        ],
    );
}

#[test]
fn an_answer_that_is_given_up_is_observed_as_far_as_it_came() {
    let gate = Gate::closed();
    let reply = "zorp b c d e f g";
    let script =
        Script { reply: Some(reply.to_owned()), gate: Some(gate.clone()), ..Script::default() };
    let house = House::open(script);
    gate.open("zorp b c d ".len());
    let mut running = house.begin("/v1/chat/completions", chat(json!({"stream": true})), &[]);
    let mut seen = String::new();
    while !seen.contains("\"d\"") {
        seen += &running.next_chunk().expect("text");
    }
    drop(running);
    wait_for(
        &house,
        &[
            &scores("output", "none", 1),
            r#"lethe_moderation_flagged_total{adapters="none",category="toxicity",direction="output"} 1"#,
            r#"lethe_requests_cancelled_total{route="/v1/chat/completions"} 1"#,
        ],
    );
}

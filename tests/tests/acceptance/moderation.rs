//! T10 with the local engine and the scorer that comes with the program: random texts have some
//! score, and a threshold in the midst of those scores blocks some of them.

use serde_json::{Value, json};

use crate::house::{House, chat};

const ANSWERS: usize = 12;

/// What came of an answer: its text, why it ended, and its score for toxicity.
#[derive(Debug, Default, Clone, PartialEq)]
struct Answer {
    text: String,
    finish: String,
    score: f64,
}

/// The answers to one chat, each a random text of some length.
fn answers(house: &House, stream: bool) -> Vec<Answer> {
    let fields = json!({
        "n": ANSWERS, "seed": 1, "temperature": 1.5, "max_tokens": 120, "logprobs": false,
        "top_logprobs": null, "stream": stream, "moderation": {"model": "omni-moderation-latest"},
    });
    let reply = house.post("/v1/chat/completions", chat(fields));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let bodies = if stream { reply.chunks() } else { vec![reply.json()] };
    let mut answers = vec![Answer::default(); ANSWERS];
    for choice in bodies.iter().flat_map(|body| list(&body["choices"])) {
        let index = choice["index"].as_u64().and_then(|index| usize::try_from(index).ok());
        let answer = &mut answers[index.expect("an index")];
        let content = [&choice["delta"]["content"], &choice["message"]["content"]];
        answer.text.extend(content.into_iter().filter_map(Value::as_str));
        answer.finish += choice["finish_reason"].as_str().unwrap_or_default();
    }
    let results = bodies.iter().flat_map(|body| list(&body["moderation"]["output"]["results"]));
    let scores = results.map(|result| result["category_scores"]["toxicity"].as_f64());
    let scores: Vec<f64> = scores.map(|score| score.expect("a score")).collect();
    assert_eq!(scores.len(), ANSWERS);
    answers.iter_mut().zip(scores).for_each(|(answer, score)| answer.score = score);
    answers
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[test]
fn a_stream_is_blocked_where_a_whole_reply_is_and_both_where_the_score_says() {
    let open = House::open();
    let free = answers(&open, false);
    assert_eq!(free, answers(&open, true));
    let mut scores: Vec<f64> = free.iter().map(|answer| answer.score).collect();
    scores.sort_by(f64::total_cmp);
    let threshold = scores[ANSWERS / 2];
    assert!(scores[0] < threshold, "random texts have different scores: {scores:?}");

    let others = ["hate", "profanity", "bias/gender", "bias/race", "bias/religion"];
    let others: String = others.iter().map(|name| format!(",{name}=1")).collect();
    let thresholds = format!("toxicity={threshold}{others},bias/orientation=1");
    let flags = [("moderation.output", "block"), ("moderation.thresholds", thresholds.as_str())];
    let strict = House::with_settings(&flags);
    let blocked = answers(&strict, false);
    assert_eq!(blocked, answers(&strict, true));
    for (blocked, free) in blocked.iter().zip(&free) {
        if free.score < threshold {
            assert_eq!(blocked, free);
        } else {
            assert_eq!(blocked.finish, "content_filter");
            assert!(blocked.text.len() < free.text.len() && free.text.starts_with(&blocked.text));
            assert!(blocked.score >= threshold);
        }
    }
}

use gateway_engine::scripted::{Gate, Script};
use insta::assert_json_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Answer, BLOCK_OUTPUT, asking, both, saying, streamed, whole, with};
use crate::client::Reply;
use crate::house::{House, chat};

/// T10: other gateways let a stream go unmoderated (api7/aisix issue 204).
#[test]
fn a_stream_is_moderated_as_a_whole_reply() {
    for (reply, text, finish) in [
        ("one two three four five six", "one two three four five six", "stop"),
        ("one two three four grimble wark five six", "one two ", "content_filter"),
        ("one grimble. wark two", "one grimble. wark two", "stop"),
        ("zorp", "", "content_filter"),
        ("", "", "length"),
    ] {
        let house = saying(reply, &[BLOCK_OUTPUT]);
        let answer = both(&house, asking("score", "score"));
        assert_eq!((answer.text.as_str(), &answer.finish), (text, &json!(finish)));
        let flagged = &answer.moderation["output"]["results"][0]["flagged"];
        assert_eq!(*flagged, json!(finish == "content_filter"));
    }
}

#[test]
fn a_text_that_is_only_scored_is_whole_and_its_scores_are_told_if_asked() {
    let house = saying("one grimble wark two", &[]);
    let answer = both(&house, asking("score", "score"));
    assert_eq!((answer.text.as_str(), &answer.finish), ("one grimble wark two", &json!("stop")));
    assert_json_snapshot!(answer.moderation);
    let unasked = house.chat(json!({})).json();
    assert_eq!(unasked.get("moderation"), None);
    assert_eq!(unasked["lethe"]["scorer"], "scripted-1-00000000");
}

#[test]
fn the_moderation_chunk_comes_after_the_answer_and_before_the_usage() {
    let fields = json!({"stream": true, "n": 2, "stream_options": {"include_usage": true}});
    let chunks = saying("ok", &[]).chat(with(fields, asking("score", "score"))).chunks();
    let [.., finish, moderation, usage] = &chunks[..] else { panic!("too few chunks") };
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!((&moderation["usage"], &moderation["choices"]), (&Value::Null, &json!([])));
    assert_eq!(moderation["moderation"]["output"]["results"].as_array().map(Vec::len), Some(2));
    assert_eq!(moderation["moderation"]["input"]["results"].as_array().map(Vec::len), Some(1));
    assert!(usage.get("moderation").is_none() && usage["usage"]["completion_tokens"] == 4);
}

#[test]
fn a_request_may_tighten_and_never_loosen() {
    let harmful = "a b c d e zorp f";
    let finish = |server: &str, fields: Value| {
        both(&saying(harmful, &[("moderation.output", server)]), fields).finish
    };
    for server in ["off", "score"] {
        assert_eq!(finish(server, json!({})), "stop");
        assert_eq!(finish(server, asking("score", "score")), "stop");
        assert_eq!(finish(server, asking("score", "block")), "content_filter");
    }
    for fields in [json!({}), asking("score", "score"), asking("block", "block")] {
        assert_eq!(finish("block", fields), "content_filter");
    }
}

#[test]
fn scoring_delays_no_text_that_is_not_held_back() {
    let house = saying("one two three four five", &[]);
    house.scorer.hold();
    let unasked = streamed(&house.chat(json!({"stream": true})));
    assert_eq!(unasked.text, "one two three four five");
    let body = chat(with(json!({"stream": true}), asking("score", "score")));
    let mut asked = house.begin("/v1/chat/completions", body, &[]);
    let mut seen = String::new();
    while !seen.contains("\"stop\"") {
        seen += &asked.next_chunk().expect("the answer");
    }
    house.scorer.release();
    let rest = asked.finish();
    assert!(rest.text().contains("\"moderation\":{\"input\""), "{}", rest.text());
}

#[test]
fn a_flagged_answer_ends_its_generation_at_once() {
    let gate = Gate::closed();
    let reply = "one two grimble wark five six seven eight";
    let script =
        Script { reply: Some(reply.to_owned()), gate: Some(gate.clone()), ..Script::default() };
    let house = House::with_settings(script, &[BLOCK_OUTPUT]);
    // The fourth word ends a window, and the space after it the word; then the gate is shut.
    gate.open("one two grimble wark ".len());
    let reply = house.chat(json!({"stream": true}));
    let answer = streamed(&reply);
    assert_eq!((answer.text.as_str(), answer.finish), ("", json!("content_filter")));
    house.wait_for(0, 1);
    house.wait_until_empty();
    let page = house.ops("/metrics").text().to_owned();
    assert!(!page.contains("lethe_requests_cancelled_total{"), "the client has not hung up");
}

#[test]
fn a_blocked_answer_still_counts_its_prompt() {
    let usage = |reply: &str, flags| saying(reply, flags).chat(json!({})).json()["usage"].clone();
    let (blocked, passed) = (usage("zorp", &[BLOCK_OUTPUT]), usage("ok", &[]));
    assert_eq!(blocked["prompt_tokens"], passed["prompt_tokens"]);
}

/// The bytes of all tokens whose log-probabilities left.
fn told_tokens(reply: &Reply) -> Vec<u8> {
    let chunks = reply.chunks();
    let contents = chunks.iter().filter_map(|c| c["choices"][0]["logprobs"]["content"].as_array());
    let bytes = contents.flatten().flat_map(|token| token["bytes"].as_array().expect("bytes"));
    bytes.map(|byte| u8::try_from(byte.as_u64().expect("a byte")).expect("a byte")).collect()
}

/// Words that are all different, so that each is found wherever it leaks to.
fn words() -> impl Strategy<Value = Vec<String>> {
    const MARKS: &[&str] = &["zorp", "grimble wark", "florb", "mumb", "grimble", "wark"];
    let mark = prop::sample::select(MARKS).prop_map(Some);
    let words = prop::collection::vec(prop_oneof![9 => Just(None), 1 => mark], 1..20);
    words.prop_map(|words| {
        let word = |(place, mark): (usize, Option<&str>)| {
            mark.map_or(format!("wörd{place}q"), str::to_owned)
        };
        words.into_iter().enumerate().map(word).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// What is held back is in no byte that leaves: neither as text, nor as a token's bytes.
    #[test]
    fn nothing_of_a_blocked_text_is_in_the_stream(words in words(), stop in any::<bool>()) {
        let text = words.join(" ");
        let house = saying(&text, &[BLOCK_OUTPUT]);
        let stops = if stop { json!(["never met", "q never"]) } else { Value::Null };
        let fields = with(
            json!({"logprobs": true, "stop": stops, "max_tokens": 999}),
            asking("score", "score"),
        );
        let stream = house.chat(with(fields.clone(), json!({"stream": true})));
        let answer: Answer = streamed(&stream);
        prop_assert_eq!(&answer, &whole(&house.chat(fields)));
        prop_assert!(text.starts_with(&answer.text));
        let tokens = told_tokens(&stream);
        if answer.finish == "stop" {
            prop_assert_eq!(&answer.text, &text);
            prop_assert_eq!(tokens, text.as_bytes());
        } else {
            prop_assert!(answer.text.as_bytes().starts_with(&tokens));
            let missing = text[answer.text.len()..].split(' ').filter(|word| word.contains("q"));
            for word in missing {
                prop_assert!(!stream.text().contains(word), "{} in {}", word, stream.text());
            }
            for mark in ["zorp", "florb", "grimble wark"] {
                prop_assert!(!answer.text.contains(mark));
            }
        }
    }
}

#[test]
fn the_order_and_place_of_other_answers_is_kept() {
    let house = saying("a b c d e f", &[BLOCK_OUTPUT]);
    let reply = house.chat(with(json!({"n": 3}), asking("score", "block"))).json();
    for (index, choice) in reply["choices"].as_array().expect("choices").iter().enumerate() {
        assert_eq!(choice["index"], index);
        assert_eq!(choice["message"]["content"], "a b c d e f");
    }
    assert_eq!(reply["moderation"]["output"]["results"].as_array().map(Vec::len), Some(3));
}

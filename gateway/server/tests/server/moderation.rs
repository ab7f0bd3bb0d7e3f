//! Moderation over TCP. Harm is invented words: see the scripted scorer.

mod answers;
mod failures;
mod metrics;
mod prompts;
mod route;

use gateway_engine::scripted::Script;
use serde_json::{Value, json};

use crate::client::Reply;
use crate::house::House;

/// Settings that block answers.
const BLOCK_OUTPUT: (&str, &str) = ("moderation.output", "block");

/// Settings that block prompts.
const BLOCK_INPUT: (&str, &str) = ("moderation.input", "block");

/// A gateway whose model always says `reply`.
fn saying(reply: &str, flags: &[(&'static str, &str)]) -> House {
    let script = Script { reply: Some(reply.to_owned()), ..Script::default() };
    House::with_settings(script, flags)
}

/// What a request says that asks for moderation.
fn asking(input: &str, output: &str) -> Value {
    let policy = json!({"input": {"mode": input}, "output": {"mode": output}});
    json!({"moderation": {"model": "omni-moderation-latest", "policy": policy}})
}

fn with(mut fields: Value, more: Value) -> Value {
    let more = more.as_object().cloned().expect("fields");
    fields.as_object_mut().expect("an object").extend(more);
    fields
}

/// What a reply to one chat comes to, however it was delivered.
#[derive(Debug, PartialEq)]
struct Answer {
    text: String,
    finish: Value,
    moderation: Value,
}

fn whole(reply: &Reply) -> Answer {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    let choice = &body["choices"][0];
    Answer {
        text: choice["message"]["content"].as_str().expect("text").to_owned(),
        finish: choice["finish_reason"].clone(),
        moderation: body["moderation"].clone(),
    }
}

fn streamed(reply: &Reply) -> Answer {
    let chunks = reply.chunks();
    let pieces = || chunks.iter().map(|chunk| &chunk["choices"][0]);
    let finishes: Vec<_> = pieces().map(|p| &p["finish_reason"]).filter(|f| !f.is_null()).collect();
    assert_eq!(finishes.len(), 1, "{}", reply.text());
    let moderations = chunks.iter().filter(|chunk| chunk.get("moderation").is_some());
    let mut moderations: Vec<_> = moderations.collect();
    assert!(moderations.iter().all(|chunk| chunk["choices"] == json!([])));
    Answer {
        text: pieces().filter_map(|piece| piece["delta"]["content"].as_str()).collect(),
        finish: finishes[0].clone(),
        moderation: moderations.pop().map_or(Value::Null, |chunk| chunk["moderation"].clone()),
    }
}

/// The chat as a whole reply and as a stream, which must come to the same.
fn both(house: &House, fields: Value) -> Answer {
    let answer = whole(&house.chat(fields.clone()));
    let stream = streamed(&house.chat(with(fields, json!({"stream": true}))));
    assert_eq!(answer, stream);
    answer
}

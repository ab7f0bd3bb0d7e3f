use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters::AdapterVector;

use super::{Failure, Gate, Script, ScriptedEngine};
use crate::{
    Admission, Chunk, ControlTokens, Engine, EngineError, FinishReason, Generation, Grammar, Job,
    Limits, Logprobs, Priority, Sampling, SubmitError,
};

fn engine(script: Script) -> ScriptedEngine {
    ScriptedEngine::new("scripted", script)
}

fn saying(reply: &str) -> ScriptedEngine {
    engine(Script { reply: Some(reply.to_owned()), ..Script::default() })
}

fn job(max_tokens: usize) -> Job {
    Job {
        prompt: vec![104, 105],
        adapters: AdapterVector::default(),
        sampling: Sampling::default(),
        limits: Limits {
            max_tokens,
            min_tokens: 0,
            ignore_eos: false,
            stop: Vec::new(),
            stop_tokens: Vec::new(),
        },
        grammar: Grammar::Free,
        logprobs: Logprobs::default(),
        companions: Vec::new(),
        comparison: None,
        priority: Priority::Foreground,
        trace: None,
        deadline: Instant::now() + Duration::from_secs(60),
        permit: Arc::new(Admission::new(1).admit().expect("a place")),
    }
}

async fn collect(mut generation: Generation) -> (String, Result<Chunk, EngineError>) {
    let mut text = String::new();
    let mut last = None;
    while let Some(result) = generation.next().await {
        if let Ok(chunk) = &result {
            text.push_str(&chunk.text);
        }
        last = Some(result);
    }
    (text, last.expect("a generation has an end"))
}

async fn run(engine: &ScriptedEngine, job: Job) -> (String, FinishReason) {
    let (text, last) = collect(engine.submit(job).expect("submitted")).await;
    (text, last.expect("no failure").finish.expect("a finish").reason)
}

#[tokio::test]
async fn the_answer_depends_on_prompt_and_seed_and_on_nothing_else() {
    let engine = engine(Script::default());
    let first = run(&engine, job(500)).await;
    assert_eq!(first, run(&engine, job(500)).await);
    let mut seeded = job(500);
    seeded.sampling.seed = 1;
    assert_ne!(first, run(&engine, seeded).await);
    let mut other = job(500);
    other.prompt = vec![104, 106];
    assert_ne!(first, run(&engine, other).await);
}

#[tokio::test]
async fn limits_end_the_answer() {
    let engine = saying("héllo");
    assert_eq!(run(&engine, job(500)).await, ("héllo".to_owned(), FinishReason::Stop));
    // Two tokens are "h" and half a character.
    assert_eq!(run(&engine, job(2)).await, ("h\u{fffd}".to_owned(), FinishReason::Length));
    assert_eq!(run(&engine, job(0)).await, (String::new(), FinishReason::Length));
    let mut endless = job(15);
    endless.limits.ignore_eos = true;
    assert_eq!(run(&engine, endless).await.0, "héllohéllohé");
}

#[tokio::test]
async fn stop_texts_are_held_back_and_cut() {
    let engine = saying("one two three");
    let stopped = |stop: &str| {
        let mut job = job(500);
        job.limits.stop = vec![stop.to_owned()];
        job
    };
    assert_eq!(run(&engine, stopped("two")).await, ("one ".to_owned(), FinishReason::Stop));
    // What begins like a stop text and is none comes out after all.
    assert_eq!(run(&engine, stopped("twx")).await.0, "one two three");
    let mut generation = engine.submit(stopped("o t")).expect("submitted");
    let mut pieces = Vec::new();
    while let Some(chunk) = generation.next().await {
        pieces.push(chunk.expect("no failure").text);
    }
    assert_eq!(pieces.concat(), "one tw");
}

#[tokio::test]
async fn failures_come_where_the_script_says() {
    let broken = EngineError::Internal("broken".to_owned());
    for count in [0, 2] {
        let failure = Failure::AfterTokens(count, broken.clone());
        let engine = engine(Script { failure, ..Script::default() });
        let (text, last) = collect(engine.submit(job(500)).expect("submitted")).await;
        assert_eq!((text.len(), last), (count, Err(broken.clone())));
        assert_eq!(engine.cancelled(), 0);
    }
    let failure = Failure::AtSubmission(SubmitError::NotRunning);
    let refused = engine(Script { failure, ..Script::default() }).submit(job(1));
    assert_eq!(refused.err(), Some(SubmitError::NotRunning));
}

#[tokio::test]
async fn a_dropped_generation_is_cancelled_and_leaves() {
    let engine = engine(Script { gate: Some(Gate::closed()), ..Script::default() });
    let generation = engine.submit(job(500)).expect("submitted");
    assert_eq!(engine.status().running, 1);
    drop(generation);
    assert_eq!((engine.status().running, engine.cancelled()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_closed_gate_waits_for_the_deadline_or_the_shutdown() {
    let engine = engine(Script { gate: Some(Gate::closed()), ..Script::default() });
    let (_, last) = collect(engine.submit(job(500)).expect("submitted")).await;
    assert_eq!(last, Err(EngineError::Deadline));
    let generation = engine.submit(job(500)).expect("submitted");
    engine.shut_down();
    assert_eq!(collect(generation).await.1, Err(EngineError::ShuttingDown));
    assert_eq!(engine.submit(job(1)).err(), Some(SubmitError::NotRunning));
}

#[tokio::test]
async fn an_open_gate_lets_one_token_pass() {
    let gate = Gate::closed();
    let engine = engine(Script { gate: Some(gate.clone()), ..Script::default() });
    let mut generation = engine.submit(job(2)).expect("submitted");
    gate.open(1);
    assert_eq!(generation.next().await.expect("a chunk").expect("ok").text.len(), 1);
    gate.open(1);
    assert_eq!(collect(generation).await.0.len(), 1);
}

#[tokio::test]
async fn logprobs_are_reported_when_asked_for() {
    let engine = saying("ab");
    let mut job = job(1);
    job.logprobs = Logprobs { generated: Some(2), prompt: Some(1) };
    let mut generation = engine.submit(job).expect("submitted");
    let chunk = generation.next().await.expect("a chunk").expect("ok");
    let prompt = chunk.prompt.expect("the prompt's");
    assert_eq!((prompt[0].logprob, prompt[1].top.len()), (None, 1));
    assert_eq!((chunk.tokens[0].top.len(), chunk.tokens[0].top[0].0), (2, 97));
}

#[tokio::test]
async fn grammars_are_kept() {
    let engine = saying("a \"b\"");
    let mut object = job(500);
    object.grammar = Grammar::JsonObject;
    assert_eq!(run(&engine, object).await.0, r#"{"reply":"a \"b\""}"#);
    let mut schema = job(500);
    schema.grammar = Grammar::JsonSchema(serde_json::json!({
        "type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}
    }));
    assert_eq!(run(&engine, schema).await.0, r#"{"n":3}"#);
    let mut unknown = job(500);
    unknown.grammar = Grammar::JsonSchema(serde_json::json!({"$ref": "x"}));
    assert!(matches!(engine.submit(unknown).err(), Some(SubmitError::Grammar(_))));
}

#[test]
fn control_tokens_are_parsed_only_if_asked() {
    let engine = engine(Script::default());
    let tokens = |control| engine.tokenize("<|im_end|>é", control).expect("tokens");
    assert_eq!(tokens(ControlTokens::Parse), [257, 0xc3, 0xa9]);
    assert_eq!(tokens(ControlTokens::AsText).len(), 12);
    let text = engine.detokenize(&tokens(ControlTokens::Parse)).expect("text");
    assert_eq!(text, "<|im_end|>é");
    assert!(engine.detokenize(&[259]).is_err());
}

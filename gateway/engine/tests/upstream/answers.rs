//! What comes back of a job that goes well.

use std::time::Instant;

use gateway_engine::scripted::upstream::{Trouble, UpstreamScript};
use gateway_engine::upstream::Dialect;
use gateway_engine::{
    Comparison, Engine as _, EngineError, FinishReason, Grammar, Health, Job, Limits, Logprobs,
    Sampling, SubmitError,
};

use crate::house::{House, LONG, Plan, collect, job, prompt};

#[tokio::test]
async fn tokens_scores_and_counts_come_back() {
    for dialect in [Dialect::Vllm, Dialect::Llama] {
        let house = House::open(&Plan { dialect, ..Plan::default() });
        let answer = house.ask(&[]).await.expect("answered");
        assert_eq!(answer.text, "hgfedcba");
        let finish = answer.finish.expect("finished");
        assert_eq!((finish.prompt_tokens, finish.completion_tokens), (8, 8));
        let backwards: Vec<_> = prompt().into_iter().rev().collect();
        let ids: Vec<_> = answer.tokens.iter().map(|token| token.id).collect();
        assert_eq!(ids, backwards);
        for token in answer.tokens {
            let score = -f64::from(token.id % 7 + 1) / 10.0;
            assert!((f64::from(token.logprob.expect("scored")) - score).abs() < 1e-6);
            assert_eq!(token.top.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_server_without_token_ids_gives_text() {
    let house = House::open(&Plan { dialect: Dialect::OpenAi, ..Plan::default() });
    let plain = Job { logprobs: Logprobs::default(), ..job(house.vector(&[])) };
    // The scripted server speaks vLLM's dialect, whose texts are empty here: only the end counts.
    let answer = house.answer(plain).await.expect("answered");
    assert_eq!(answer.finish.expect("finished").completion_tokens, 8);
    let asked = &house.servers[0].asked("/v1/completions")[0];
    assert_eq!(asked["prompt"], serde_json::json!(prompt()));
    assert!(asked.get("top_k").is_none() && asked.get("return_token_ids").is_none());
}

#[tokio::test]
async fn stop_texts_end_the_answer_and_the_request() {
    let house = House::open(&Plan::default());
    house.servers[0].trouble(Trouble::SilentAfter(5));
    let limits = Limits { stop: vec!["fe".to_owned()], ..job(house.vector(&[])).limits };
    let answer = house.answer(Job { limits, ..job(house.vector(&[])) }).await.expect("answered");
    assert_eq!(answer.text, "hg");
    assert_eq!(answer.finish.expect("finished").reason, FinishReason::Stop);
    assert!(house.servers[0].wait_for_hang_ups(1, LONG));
}

#[tokio::test]
async fn stop_tokens_and_length_end_it_too() {
    let house = House::open(&Plan::default());
    let with = |limits| house.answer(Job { limits, ..job(house.vector(&[])) });
    let usual = job(house.vector(&[])).limits;
    let e = u32::from(b'e') + 3;
    let answer = with(Limits { stop_tokens: vec![e], ..usual.clone() }).await.expect("answered");
    assert_eq!((answer.text.as_str(), answer.tokens.len()), ("hgf", 3));
    let answer = with(Limits { max_tokens: 2, ..usual.clone() }).await.expect("answered");
    assert_eq!((answer.text.as_str(), answer.tokens.len()), ("hg", 2));
    assert_eq!(answer.finish.expect("finished").reason, FinishReason::Length);
    let asked = house.servers[0].asked("/v1/completions").len();
    let answer = with(Limits { max_tokens: 0, ..usual }).await.expect("answered");
    assert_eq!(answer.finish.expect("finished").completion_tokens, 0);
    assert_eq!(house.servers[0].asked("/v1/completions").len(), asked, "nobody is asked");
}

#[tokio::test]
async fn a_prompt_is_scored_where_the_server_can() {
    let house = House::open(&Plan::default());
    let logprobs = Logprobs { generated: None, prompt: Some(1) };
    let limits = Limits { max_tokens: 0, ..job(house.vector(&[])).limits };
    let scoring = Job { logprobs, limits, ..job(house.vector(&[])) };
    let answer = house.answer(scoring).await.expect("answered");
    let scored = answer.prompt.expect("scored");
    assert_eq!(scored.len(), 8);
    assert_eq!(scored[0].logprob, None);
    assert!(scored[1..].iter().all(|token| token.logprob.is_some() && token.top.len() == 1));
    assert!(answer.tokens.is_empty());
    assert_eq!(answer.finish.expect("finished").completion_tokens, 0);
}

#[tokio::test]
async fn what_decides_an_answer_is_said_to_the_server() {
    let house = House::open(&Plan::default());
    let sampling = Sampling {
        temperature: 0.5,
        top_p: 0.9,
        top_k: 5,
        min_p: 0.1,
        repetition_penalty: 1.1,
        presence_penalty: 0.2,
        frequency_penalty: 0.3,
        logit_bias: vec![(9, -1.5)],
        seed: u64::MAX,
    };
    let schema = serde_json::json!({"type": "object"});
    let grammar = Grammar::JsonSchema(schema.clone());
    let sent = Job { sampling, grammar, ..job(house.vector(&[])) };
    house.answer(sent).await.expect("answered");
    let asked = &house.servers[0].asked("/v1/completions")[0];
    for (field, value) in [
        ("model", serde_json::json!("base")),
        ("temperature", 0.5.into()),
        ("top_k", 5.into()),
        ("seed", (-1).into()),
        ("logit_bias", serde_json::json!({"9": -1.5})),
        ("max_tokens", 8.into()),
    ] {
        assert_eq!(asked[field], value, "{field}");
    }
    assert_eq!(asked["response_format"]["json_schema"]["schema"], schema);
}

#[tokio::test]
async fn llama_is_told_every_scale_and_keeps_no_cache() {
    let script = UpstreamScript { started_with: vec!["two", "one"], ..UpstreamScript::default() };
    let house =
        House::open(&Plan { dialect: Dialect::Llama, scripts: vec![script], ..Plan::default() });
    house.ask(&[("one", 0.5)]).await.expect("answered");
    house.ask(&[]).await.expect("answered");
    let streamed = |body: &&serde_json::Value| body.get("stream").is_some();
    let asked = house.servers[0].asked("/completion");
    let told: Vec<_> = asked.iter().filter(streamed).map(|body| &body["lora"]).collect();
    let scales = |one: f64| serde_json::json!([{"id": 1, "scale": one}, {"id": 0, "scale": 0.0}]);
    assert_eq!(told, [&scales(0.5), &scales(0.0)]);
    assert!(asked.iter().all(|body| body["cache_prompt"] == false));
    let missing = house.ask(&[("three", 1.0)]).await;
    assert!(matches!(missing, Err(EngineError::Refused(what)) if what.contains("adapter three")));
}

#[tokio::test]
async fn what_a_server_cannot_do_is_refused_by_name() {
    let refused = |dialect, change: fn(&mut Job)| {
        let house = House::open(&Plan { dialect, ..Plan::default() });
        let mut job = Job { logprobs: Logprobs::default(), ..job(house.vector(&[])) };
        change(&mut job);
        let refusal = house.refusal(job);
        let SubmitError::Unsupported(what) = refusal else { panic!("{refusal}") };
        what
    };
    let scored = |job: &mut Job| job.logprobs.prompt = Some(0);
    assert!(refused(Dialect::Llama, scored).contains("prompt"));
    assert!(refused(Dialect::OpenAi, |job| job.sampling.top_k = 3).contains("top_k"));
    let compared = |job: &mut Job| {
        job.comparison = Some(Comparison { adapters: job.adapters.clone(), from: 1 });
    };
    assert!(refused(Dialect::Vllm, compared).contains("comparing"));
}

#[tokio::test]
async fn what_can_never_run_is_refused_at_once() {
    let house = House::open(&Plan::default());
    let with = |prompt| house.refusal(Job { prompt, ..job(house.vector(&[])) });
    assert_eq!(with(Vec::new()), SubmitError::EmptyPrompt);
    assert_eq!(with(vec![99_999]), SubmitError::UnknownToken(99_999));
    assert!(matches!(with(vec![5; 64]), SubmitError::TooLong { requested: 65, .. }));
    house.engine.shut_down();
    assert_eq!(with(prompt()), SubmitError::NotRunning);
    assert_eq!(house.engine.status().health, Health::ShutDown);
}

#[tokio::test]
async fn a_deadline_ends_an_answer() {
    let house = House::open(&Plan::default());
    house.servers[0].trouble(Trouble::SilentAfter(0));
    let late = Job { deadline: Instant::now(), ..job(house.vector(&[])) };
    assert_eq!(house.answer(late).await.err(), Some(EngineError::Deadline));
}

#[tokio::test]
async fn a_shutdown_ends_answers() {
    let house = House::open(&Plan::default());
    house.servers[0].trouble(Trouble::SilentAfter(1));
    let mut running = house.engine.submit(job(house.vector(&[]))).expect("submits");
    running.next().await.expect("a chunk").expect("a token");
    house.engine.shut_down();
    assert_eq!(collect(running).await.err(), Some(EngineError::ShuttingDown));
}

//! When generation ends, and what is refused.

use adapters::AdapterVector;
use gateway_engine::{
    Companion, Comparison, Engine, FinishReason, Logprobs, Priority, Sampling, SubmitError,
};

use crate::house::{House, answer, greedy, job, prompt};

#[tokio::test]
async fn max_tokens_ends_with_length() {
    let house = House::tiny();
    for max_tokens in [0, 1, 2, 12] {
        let mut asked = job(prompt(9, 0));
        asked.limits.max_tokens = max_tokens;
        let got = answer(&house.engine, asked).await;
        let end = got.end();
        assert_eq!(
            (end.reason, end.completion_tokens, end.prompt_tokens, got.tokens.len()),
            (FinishReason::Length, max_tokens, 9, max_tokens)
        );
    }
}

#[tokio::test]
async fn stop_strings_and_end_tokens_end_the_text_before_them() {
    let house = House::tiny();
    let whole = answer(&house.engine, job(prompt(9, 4))).await;
    let at = whole.text.char_indices().nth(4).expect("long enough").0;
    let until = whole.text.char_indices().nth(6).expect("long enough").0;
    let mut stopped = job(prompt(9, 4));
    stopped.limits.stop = vec![whole.text[at..until].to_owned()];
    let got = answer(&house.engine, stopped).await;
    let first = whole.text.find(&whole.text[at..until]).expect("there");
    assert_eq!(got.text, whole.text[..first]);
    assert_eq!(got.end().reason, FinishReason::Stop);

    let end = whole.tokens[5].id;
    let first = whole.ids().iter().position(|id| *id == end).expect("there");
    let mut stopped = job(prompt(9, 4));
    stopped.limits.stop_tokens = vec![end];
    let got = answer(&house.engine, stopped).await;
    assert_eq!((got.tokens.len(), got.end().reason), (first, FinishReason::Stop));
    assert_eq!(got.end().completion_tokens, first + 1);
}

#[tokio::test]
async fn a_seed_repeats_its_answer_and_another_gives_another() {
    let house = House::tiny();
    let first = answer(&house.engine, job(prompt(9, 4))).await;
    assert_eq!(answer(&house.engine, job(prompt(9, 4))).await, first);
    let mut other = job(prompt(9, 4));
    other.sampling.seed = 8;
    assert_ne!(answer(&house.engine, other).await.ids(), first.ids());
}

#[tokio::test]
async fn logit_bias_is_obeyed_and_scores_are_the_models_own() {
    let house = House::tiny();
    let mut biased = job(prompt(9, 4));
    biased.sampling = Sampling { logit_bias: vec![(68, 100.0)], ..greedy() };
    let got = answer(&house.engine, biased).await;
    assert!(got.tokens.iter().all(|t| t.id == 68), "{:?}", got.text);
    assert!(got.tokens[0].logprob.is_some_and(|l| l < -0.01));
}

#[tokio::test]
async fn end_of_text_tokens_are_tokens_like_others_when_they_are_ignored() {
    let house = House::tiny();
    let eos = 2;
    let mut asked = job(prompt(9, 4));
    asked.sampling = Sampling { logit_bias: vec![(eos, 100.0)], ..greedy() };
    assert_eq!(answer(&house.engine, asked).await.ids(), [eos; 12]);
}

#[tokio::test]
async fn what_mistralrs_cannot_do_is_refused_by_name() {
    let house = House::tiny();
    let refused = |change: fn(&mut gateway_engine::Job)| {
        let mut asked = job(prompt(9, 4));
        change(&mut asked);
        house.engine.submit(asked).err().map(|error| error.to_string())
    };
    for (found, what) in [
        (
            refused(|j| {
                j.companions
                    .push(Companion { prompt: vec![5], adapters: AdapterVector::default() });
            }),
            "companion sequences",
        ),
        (
            refused(|j| {
                j.comparison = Some(Comparison { adapters: AdapterVector::default(), from: 1 });
            }),
            "comparisons of distributions",
        ),
        (
            refused(|j| j.logprobs = Logprobs { generated: None, prompt: Some(0) }),
            "log-probabilities of the prompt",
        ),
        (refused(|j| j.priority = Priority::Background), "background jobs"),
    ] {
        assert_eq!(found, Some(format!("this engine does not support {what}")));
    }
}

#[tokio::test]
async fn impossible_prompts_are_refused() {
    let house = House::tiny();
    let context_tokens = house.engine.model().context_tokens;
    let refused = |prompt: Vec<u32>| house.engine.submit(job(prompt)).err();
    assert_eq!(refused(Vec::new()), Some(SubmitError::EmptyPrompt));
    assert_eq!(refused(vec![5, 259]), Some(SubmitError::UnknownToken(259)));
    let requested = context_tokens + 1;
    let too_long = SubmitError::TooLong { requested, context_tokens };
    assert_eq!(refused(prompt(context_tokens, 0)), Some(too_long));
}

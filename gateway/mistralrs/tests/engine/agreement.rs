//! What this engine says is what the model says.
//!
//! The reference is our decoder in exact f32 (`model::DenseDecoder`), which agrees with PyTorch.
//! In f32 this engine differs from it by the order of sums alone; the local engine by its keys and
//! values too, which it keeps in half precision. With linear layers in 8 bits, both engines round
//! activations as well, and this one also rounds the default model's 4-bit weights again.

use std::path::Path;

use adapters::lora::Lora;
use adapters::{AdapterVector, Kind, TensorDelta};
use candle_core::{D, DType, Device, IndexOp, Tensor};
use gateway_engine::{ChatMessage, ControlTokens, Engine, Grammar, Job};
use model::{Model, ServedPrecision};

use crate::house::{
    Answer, House, answer, catalogue, default_model, greedy, job, load, local, prompt, root, tiny,
    tiny_adapters, vector,
};

/// Log-probabilities of `said` behind `prompt`, in exact f32.
fn exact(file: &Path, prompt: &[u32], said: &[u32], adapters: &AdapterVector) -> Vec<f32> {
    let model = Model::open(file).expect("opens");
    let dense = model.dense(DType::F32, &Device::Cpu).expect("loads");
    let loras: Vec<(Lora, f32)> = adapters
        .entries()
        .iter()
        .map(|applied| {
            let Kind::Lora(lora) = &applied.lease.adapter().kind;
            (lora.unpack(), applied.scale)
        })
        .collect();
    let loras: Vec<_> = loras.iter().map(|(lora, scale)| (lora, *scale)).collect();
    let delta = TensorDelta::new(&loras, &Device::Cpu).expect("fits");
    let tokens = [prompt, said].concat();
    let row = Tensor::new(tokens.as_slice(), &Device::Cpu).and_then(|t| t.unsqueeze(0));
    let hidden = dense.hidden(&row.expect("a row"), &delta).expect("computes");
    let hidden = hidden.squeeze(0).expect("one row");
    let logits = dense.logits(&hidden).expect("computes");
    let score = |at: usize| -> candle_core::Result<f32> {
        let row = logits.i(prompt.len() + at - 1)?.to_dtype(DType::F64)?;
        let log_total = row.log_sum_exp(D::Minus1)?.to_scalar::<f64>()?;
        #[expect(clippy::cast_possible_truncation, reason = "log-probabilities are f32")]
        Ok((row.i(said[at] as usize)?.to_scalar::<f64>()? - log_total) as f32)
    };
    (0..said.len()).map(|at| score(at).expect("computes")).collect()
}

fn distance(one: &[f32], two: &[f32]) -> f32 {
    assert_eq!(one.len(), two.len());
    one.iter().zip(two).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Log-probabilities of a fixed continuation, which logit bias forces, so that all are asked about
/// the same text whatever they would say.
async fn scores(
    engine: &dyn Engine,
    prompt: &[u32],
    said: &[u32],
    adapters: &AdapterVector,
) -> Vec<f32> {
    let mut scores = Vec::new();
    for at in 0..said.len() {
        let mut asked = job([prompt, &said[..at]].concat());
        asked.adapters = adapters.clone();
        asked.limits.max_tokens = 1;
        asked.sampling = greedy();
        asked.sampling.logit_bias = vec![(said[at], 1_000.0)];
        let answer = answer(engine, asked).await;
        assert_eq!(answer.ids(), [said[at]]);
        scores.extend(answer.logprobs());
    }
    scores
}

#[tokio::test]
async fn the_tiny_model_says_what_exact_arithmetic_says_with_and_without_adapters() {
    let (house, catalogue) = (House::tiny(), tiny_adapters());
    let base = answer(&house.engine, job(prompt(20, 1))).await;
    for adapters in [&[][..], &[("one", 1.0)], &[("one", -0.5), ("two", 1.5), ("three", 0.25)]] {
        let adapters = vector(&catalogue, adapters);
        let asked = Job { adapters: adapters.clone(), ..job(prompt(20, 1)) };
        let got = answer(&house.engine, asked).await;
        let wanted = exact(&tiny(), &prompt(20, 1), &got.ids(), &adapters);
        let found = distance(&got.logprobs(), &wanted);
        assert!(found < 1e-5, "{}: {found}", adapters.set_name());
        let moved = distance(&base.logprobs()[..1], &got.logprobs()[..1]);
        assert_eq!(moved > 1e-3, !adapters.is_empty(), "{moved}");
    }
}

/// Jobs whose rules leave nothing to the last bits of a log-probability.
#[tokio::test]
async fn rules_and_grammars_are_the_local_engines() {
    let (house, local) = (House::tiny(), local(&tiny(), ServedPrecision::F32));
    let with = |change: fn(&mut Job)| {
        let mut asked = job(prompt(9, 4));
        asked.sampling = greedy();
        change(&mut asked);
        asked
    };
    let changes: [fn(&mut Job); 4] = [
        |job| job.sampling.frequency_penalty = 1.5,
        |job| job.sampling.repetition_penalty = 1.3,
        |job| {
            job.grammar = Grammar::JsonSchema(serde_json::json!({"enum": ["yes", "no"]}));
            job.limits.ignore_eos = false;
        },
        |job| {
            job.limits.ignore_eos = false;
            job.limits.min_tokens = 12;
            job.sampling.logit_bias = vec![(2, 100.0)];
        },
    ];
    for change in changes {
        let ours: Answer = answer(&local, with(change)).await;
        let theirs = answer(&house.engine, with(change)).await;
        assert_eq!((&ours.text, ours.ids()), (&theirs.text, theirs.ids()));
        let (ours, theirs) = (ours.end(), theirs.end());
        assert_eq!(
            (ours.reason, ours.completion_tokens),
            (theirs.reason, theirs.completion_tokens)
        );
    }
}

fn turns() -> Vec<ChatMessage> {
    let content = "Name three rivers of Europe.".to_owned();
    vec![ChatMessage { role: "user".into(), content }]
}

/// How far the default model's log-probabilities are from exact ones, with `adapters`: this
/// engine's and the local engine's; and how far the adapters move them.
async fn compare(precision: ServedPrecision, adapters: &[(&str, f32)]) -> (f32, f32, f32) {
    let file = default_model();
    let folder = root().join("adapters/shipped/smollm2-135m-instruct");
    let catalogue = catalogue(&file, &folder, precision);
    adapters.iter().for_each(|(name, _)| load(&catalogue, name));
    let local = local(&file, precision);
    let house = House::start(&file, precision, 1 << 30);
    assert_eq!(house.engine.model(), local.model());
    let prompt = local.render_chat(&turns()).expect("renders");
    assert_eq!(house.engine.render_chat(&turns()).expect("renders"), prompt);
    let said = "The Danube, the Rhine and the Volga are rivers.";
    let said = local.tokenize(said, ControlTokens::AsText).expect("encodes");
    let adapters = vector(&catalogue, adapters);
    let wanted = exact(&file, &prompt, &said, &adapters);
    let theirs = distance(&scores(&house.engine, &prompt, &said, &adapters).await, &wanted);
    let ours = distance(&scores(&local, &prompt, &said, &adapters).await, &wanted);
    let moved = distance(&exact(&file, &prompt, &said, &AdapterVector::default()), &wanted);
    println!("{}: this engine {theirs}, local {ours}, adapters {moved}", adapters.set_name());
    (theirs, ours, moved)
}

#[tokio::test]
async fn the_default_model_in_f32_says_what_exact_arithmetic_says() {
    let (theirs, _, _) = compare(ServedPrecision::F32, &[]).await;
    assert!(theirs < 1e-4, "{theirs}");
    let (theirs, _, moved) =
        compare(ServedPrecision::F32, &[("gender", 1.5), ("race", -1.0)]).await;
    assert!(theirs < 1e-4 && moved > 0.1, "{theirs} {moved}");
}

#[tokio::test]
async fn the_default_model_in_8_bits_is_as_near_as_rounding_lets_it() {
    let (theirs, _, _) = compare(ServedPrecision::Auto, &[]).await;
    assert!(theirs < 0.4, "{theirs}");
    let (theirs, _, moved) =
        compare(ServedPrecision::Auto, &[("gender", 1.5), ("race", -1.0)]).await;
    assert!(theirs < 0.4 && moved > theirs, "{theirs} {moved}");
}

#[tokio::test]
async fn greedy_answers_of_the_default_model_are_the_local_engines() {
    let file: &Path = &default_model();
    let house = House::start(file, ServedPrecision::F32, 1 << 30);
    let local = local(file, ServedPrecision::F32);
    let prompt = local.render_chat(&turns()).expect("renders");
    let asked = || {
        let mut asked = job(prompt.clone());
        asked.sampling = greedy();
        asked.limits.max_tokens = 32;
        asked.limits.ignore_eos = false;
        asked
    };
    let (ours, theirs) = (answer(&local, asked()).await, answer(&house.engine, asked()).await);
    assert_eq!((&ours.text, ours.ids()), (&theirs.text, theirs.ids()));
}

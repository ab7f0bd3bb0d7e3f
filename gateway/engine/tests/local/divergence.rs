//! How far adapters move the model's distributions, against the logits that PEFT computes.

use std::collections::BTreeMap;

use adapters::AdapterVector;
use adapters::tensor_file::{Matrix, TensorFile};
use gateway_engine::{Comparison, Divergence, Job, LocalSettings, Priority};
use model::ServedPrecision;

use crate::house::{
    answer, answers, catalogue, catalogue_in, engine, fixtures, job, small, vector,
};

/// Adapters of the matrices of `peft_logits.safetensors`.
const ONE: &[(&str, f32)] = &[("one", 1.0)];
const WEIGHTED: &[(&str, f32)] = &[("one", 1.0), ("two", 0.5), ("three", -0.75)];

fn peft() -> BTreeMap<String, Matrix> {
    let bytes = std::fs::read(fixtures().join("peft_logits.safetensors")).expect("the fixture");
    TensorFile::parse(&bytes, 1 << 16).expect("the fixture").into_matrices()
}

fn prompt() -> Vec<u32> {
    peft()["tokens"].values.iter().map(|id| *id as u32).collect()
}

fn comparing(own: &AdapterVector, other: &AdapterVector, from: usize) -> Job {
    let mut job = job(prompt(), own.clone());
    job.limits.max_tokens = 0;
    job.comparison = Some(Comparison { adapters: other.clone(), from });
    job
}

/// Natural log-probabilities in f64 of a row of logits.
fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let total: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
    logits.iter().map(|l| f64::from(*l) - total.ln()).collect()
}

/// The sum over tokens from `from` on, by the definition.
fn expected(own: &str, other: &str, from: usize) -> f64 {
    let matrices = peft();
    let rows = |name: &str| matrices[name].values.chunks(matrices[name].columns).map(log_softmax);
    let pairs: Vec<_> = rows(own).zip(rows(other)).collect();
    let kl = |(p, q): &(Vec<f64>, Vec<f64>)| -> f64 {
        p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum()
    };
    pairs[from - 1..pairs.len() - 1].iter().map(kl).sum()
}

#[tokio::test]
async fn divergences_are_those_of_peft_s_logits() {
    let catalogue = catalogue_in(ServedPrecision::F32);
    let set = |wanted| vector(&catalogue, wanted);
    let engine = engine(&LocalSettings { precision: ServedPrecision::F32, ..small() });
    for (own, other, names) in [
        (ONE, [].as_slice(), ("one", "base")),
        (&[], ONE, ("base", "one")),
        (WEIGHTED, ONE, ("weighted", "one")),
    ] {
        let got = answer(&engine, comparing(&set(own), &set(other), 10)).await.divergence;
        let Divergence { nats, tokens } = got.expect("asked for");
        let want = expected(names.0, names.1, 10);
        assert_eq!(tokens, 22);
        // What is left is the cache's half precision.
        assert!((nats - want).abs() < 1e-3 * want, "{nats} is not {want} for {names:?}");
    }
}

#[tokio::test]
async fn the_same_adapters_do_not_diverge() {
    let one = vector(&catalogue(), ONE);
    let got = answer(&engine(&small()), comparing(&one, &one, 1)).await.divergence;
    assert_eq!(got, Some(Divergence { nats: 0.0, tokens: 31 }));
}

#[tokio::test]
async fn a_divergence_has_the_same_bits_in_any_pieces_and_company() {
    let catalogue = catalogue();
    let (one, none) = (vector(&catalogue, ONE), vector(&catalogue, &[]));
    let want = answer(&engine(&small()), comparing(&one, &none, 5)).await.divergence;
    assert!(want.expect("asked for").nats > 0.0);
    // Little steps, and ten blocks, so that jobs lose theirs midway.
    let settings =
        LocalSettings { step_tokens: 7, shared_step_tokens: 3, kv_bytes: 10 * 4096, ..small() };
    let engine = engine(&settings);
    let mut jobs: Vec<Job> = (0..3).map(|_| comparing(&one, &none, 5)).collect();
    jobs.push(Job { priority: Priority::Background, ..comparing(&one, &none, 5) });
    jobs.extend((1..5).map(|salt| job(crate::house::prompt(30, salt), one.clone())));
    for got in &answers(&engine, jobs).await[..4] {
        assert_eq!(got.divergence, want);
    }
}

#[tokio::test]
async fn a_comparison_without_any_token_finds_none() {
    let none = vector(&catalogue(), &[]);
    let got = answer(&engine(&small()), comparing(&none, &none, 99)).await.divergence;
    assert_eq!(got, Some(Divergence::default()));
}

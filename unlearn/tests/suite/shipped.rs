//! The adapters that come with Lethe, on the default model.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use adapters::card::Card;
use adapters::lora::Lora;
use adapters::{Limits, TensorDelta};
use candle_core::{DType, Device};
use model::Control;
use serde::Deserialize;
use unlearn::evaluation::{DenseScorer, score_all};
use unlearn::training::Run;

use crate::mask::default_model;

/// The largest file of weights.
const LARGEST_BYTES: u64 = 6_000_000;
/// Of mean log-probabilities; sums of a hundred thousand products in f32, in another order.
const TOLERANCE: f64 = 1e-4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapters/shipped/smollm2-135m-instruct")
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Made by `tests/reference/shipped_scores.py`.
#[derive(Deserialize)]
struct Fixture {
    texts: Vec<String>,
    scores: BTreeMap<String, Vec<f64>>,
}

#[test]
fn they_score_sentences_as_peft_does() {
    let text = fs::read_to_string(crate::fixtures().join("shipped_scores.json")).unwrap();
    let fixture: Fixture = serde_json::from_str(&text).unwrap();
    let model = default_model();
    let decoder = model.dense(DType::F32, &Device::Cpu).unwrap();
    let tokens = |text: &String| model.tokenizer().encode(text, Control::AsText).unwrap();
    let tokens: Vec<_> = fixture.texts.iter().map(tokens).collect();
    let mut expected: Vec<_> = fixture.scores.keys().cloned().collect();
    expected.retain(|name| name != "base");
    assert_eq!(expected, names());
    for (name, scores) in &fixture.scores {
        let lora = (name != "base").then(|| {
            let config = model.checkpoint().config();
            Lora::load(&folder().join(name), config, &Limits::default()).unwrap()
        });
        let applied: Vec<_> = lora.iter().map(|lora| (lora, 1.0)).collect();
        let delta = TensorDelta::new(&applied, &Device::Cpu).unwrap();
        let mut scorer = DenseScorer::new(&decoder, &delta);
        let read = score_all(&mut scorer, &tokens, &mut |_| ()).unwrap();
        for (read, want) in read.iter().zip(scores) {
            let mean = read.iter().sum::<f64>() / read.len() as f64;
            assert!((mean - want).abs() < TOLERANCE, "{name}: {mean} {want}");
        }
    }
}

#[test]
fn each_is_small_and_has_a_card_that_says_how_it_was_made_and_what_it_does() {
    for name in names() {
        let folder = folder().join(&name);
        let weights = fs::metadata(folder.join("adapter_model.safetensors")).unwrap();
        assert!(weights.len() < LARGEST_BYTES, "{name}");
        let card = fs::read_to_string(folder.join("card.json")).unwrap();
        Run::read(unlearn::card::run_table(&card).unwrap()).unwrap();
        let card = Card::parse(card.as_bytes()).unwrap();
        assert_eq!(card.name.as_str(), name);
        assert_eq!(card.base.weights.to_string(), default_model().fingerprint());
        for test in ["continuations", "continuations_profanity", "harmful", "definitional"] {
            assert!(card.evaluation.iter().any(|m| m.test.as_str() == test), "{name}: {test}");
        }
    }
}

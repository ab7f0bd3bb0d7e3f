//! Whole tests on the tiny seeded model, with data made here.

use std::sync::Arc;

use adapters::TensorDelta;
use candle_core::{DType, Device, Tensor};
use model::kernels::pool::Pool;
use model::{Delta, Model, NoDelta, ServedPrecision};
use unlearn::evaluation::{
    DataError, DenseScorer, LocalReader, PackedScorer, Question, Reader as _, Reading, Scorer,
    Sheet, perplexity, score_all, stereoset,
};

use crate::{adapter, fixtures, open};

fn tiny() -> Model {
    open("tiny-llama")
}

/// Sequences of many lengths, some of which fill cache blocks exactly.
fn sequences() -> Vec<Vec<u32>> {
    let lengths = [2, 33, 16, 17, 300, 5, 32, 48, 470];
    let tokens = |length: u32| (0..length).map(|i| 3 + (i * 37 + length) % 250).collect();
    lengths.map(tokens).into()
}

fn scores(scorer: &mut dyn Scorer) -> Vec<f64> {
    score_all(scorer, &sequences(), &mut |_| ()).unwrap().concat()
}

fn distance(one: &[f64], two: &[f64]) -> f64 {
    assert_eq!(one.len(), two.len());
    one.iter().zip(two).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn both_decoders_give_the_same_scores() {
    let model = tiny();
    let dense = model.dense(DType::F32, &Device::Cpu).unwrap();
    let want = scores(&mut DenseScorer::new(&dense, &NoDelta));
    // What is left with unrounded weights is the cache's half precision.
    for (precision, tolerance) in [(ServedPrecision::F32, 1e-2), (ServedPrecision::Auto, 0.2)] {
        let packed = model.packed(precision, Arc::new(Pool::new(2))).unwrap();
        let away = distance(&scores(&mut PackedScorer::new(&packed, &NoDelta)), &want);
        assert!(away < tolerance, "{precision:?} is {away} away");
    }
}

#[test]
fn a_sequence_scores_alone_as_it_does_in_a_batch() {
    let model = tiny();
    let dense = model.dense(DType::F32, &Device::Cpu).unwrap();
    let mut scorer = DenseScorer::new(&dense, &NoDelta);
    let alone: Vec<f64> = sequences()
        .iter()
        .flat_map(|sequence| scorer.score(&[sequence.as_slice()]).unwrap().concat())
        .collect();
    assert!(distance(&scores(&mut scorer), &alone) < 1e-4);
}

#[test]
fn an_adapter_changes_scores_and_scale_0_does_not() {
    let model = tiny();
    let dense = model.dense(DType::F32, &Device::Cpu).unwrap();
    let lora = adapter("one", dense.config());
    let with = |scale| {
        let delta = TensorDelta::new(&[(&lora, scale)], &Device::Cpu).unwrap();
        scores(&mut DenseScorer::new(&dense, &delta))
    };
    let base = scores(&mut DenseScorer::new(&dense, &NoDelta));
    assert!(distance(&with(0.0), &base) == 0.0);
    assert!(distance(&with(1.0), &base) > 1e-3);
}

/// A sentence and its mean log-probability by transformers and PEFT, as
/// `tests/reference/sentence_scores.py` wrote them.
#[derive(serde::Deserialize)]
struct Scored {
    text: String,
    base: f64,
    one: f64,
}

#[test]
fn sentences_score_as_transformers_and_peft_have_them() {
    let fixture = std::fs::read(fixtures().join("sentence_scores.json")).unwrap();
    let sentences: Vec<Scored> = serde_json::from_slice(&fixture).unwrap();
    assert_eq!(sentences.len(), 50);
    let questions: Vec<Question> = sentences.iter().map(|s| Question::whole(&s.text)).collect();
    let questions: Vec<&Question> = questions.iter().collect();
    let model = tiny();
    let dense = model.dense(DType::F32, &Device::Cpu).unwrap();
    let lora = adapter("one", dense.config());
    let delta = TensorDelta::new(&[(&lora, 1.0)], &Device::Cpu).unwrap();
    let read = |delta: &dyn Delta<Tensor>| {
        let mut scorer = DenseScorer::new(&dense, delta);
        LocalReader::new(model.tokenizer(), &mut scorer).read(&questions, &mut |_| ()).unwrap()
    };
    for ((base, one), want) in read(&NoDelta).iter().zip(&read(&delta)).zip(&sentences) {
        let mean = |readings: &[Reading]| readings[0].sum / readings[0].tokens as f64;
        assert!((mean(base) - want.base).abs() < 1e-4, "{} {}", mean(base), want.base);
        assert!((mean(one) - want.one).abs() < 1e-4, "{} {}", mean(one), want.one);
    }
}

#[test]
fn stereoset_is_measured_from_lines_to_measurements() {
    let line = |id: u32, domain: &str, target: &str| {
        format!(
            r#"{{"id": "{id}", "domain": "{domain}", "target": "{target}", "context": "c",
            "stereotype": "a {target} is red", "anti_stereotype": "a {target} is blue",
            "unrelated": "a {target} is {id}"}}"#
        )
        .replace('\n', " ")
    };
    let lines =
        [line(1, "hats", "cap"), String::new(), line(2, "shoes", "clog"), line(3, "shoes", "boot")];
    let items = stereoset::parse(&lines.join("\n")).unwrap();
    let questionnaires = stereoset::questionnaires(&items).unwrap();
    let model = tiny();
    let dense = model.dense(DType::F32, &Device::Cpu).unwrap();
    let mut done = 0;
    let mut scorer = DenseScorer::new(&dense, &NoDelta);
    let mut reader = LocalReader::new(model.tokenizer(), &mut scorer);
    let sheets: Vec<Sheet> =
        questionnaires.iter().map(|q| q.ask(&mut reader, &mut |n| done += n).unwrap()).collect();
    assert_eq!(done, 9);
    let tokens = |text: &str| model.tokenizer().encode(text, model::Control::AsText).unwrap();
    let sentence = scorer.score(&[&tokens("a clog is blue")]).unwrap().concat();
    let row = &sheets[1].rows[0];
    assert!((row[2] - sentence.iter().sum::<f64>()).abs() < 1e-4);
    assert!((row[3] - sentence.len() as f64).abs() < 1e-9);
    let measured: Vec<_> = sheets.iter().flat_map(Sheet::measurements).collect();
    let found: Vec<_> =
        measured.iter().map(|m| (m.domain.as_str(), m.metric.as_str(), m.items)).collect();
    assert_eq!((found.len(), found[0], found[6]), (12, ("hats", "ss", 1), ("shoes", "ss", 2)));
}

#[test]
fn a_malformed_line_is_named_by_number_and_never_quoted() {
    let good = r#"{"id": "1", "target": "cap", "stereotype": 1.0, "anti_stereotype": 0.5, "unrelated": 0.1}"#;
    for bad in [
        r#"{"id": "1", "target": "secret", "stereotype": "secret", "anti_stereotype": 1, "unrelated": 1}"#,
        r#"{"id": "1", "target": "cap", "stereotype": 1.0, "anti_stereotype": 0.5}"#,
        r#"{"id": "1", "target": "cap", "stereotype": 1e999, "anti_stereotype": 0.5, "unrelated": 0.1}"#,
        r#"{"id": "1", "target": "cap", "stereotype": NaN, "anti_stereotype": 0.5, "unrelated": 0.1}"#,
        r#"{"id": "1", "secret": 1, "target": "cap", "stereotype": 1.0, "anti_stereotype": 0.5, "unrelated": 0.1}"#,
        "secret",
    ] {
        let error = stereoset::parse::<f64>(&format!("{good}\n{bad}\n")).unwrap_err();
        assert!(matches!(error, DataError::Line { line: 2, .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert!(matches!(stereoset::parse::<f64>("\n\n"), Err(DataError::Empty)));
}

#[test]
fn perplexity_reads_the_beginning_in_windows() {
    let model = tiny();
    // One token for each character.
    let windows = |text: &str| perplexity::windows(text, model.tokenizer());
    let cut = windows(&"ab".repeat(80_000)).unwrap();
    assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [1024; 8]);
    let rest = windows(&"é".repeat(513)).unwrap();
    assert_eq!(rest.iter().map(Vec::len).collect::<Vec<_>>(), [1024, 2]);
    assert_eq!((windows("a").unwrap().len(), windows("").unwrap().len()), (0, 0));
}

//! Sequence classifiers.

use gateway_toxicity::encoder::{ClassifierScorer, EncoderError, open_scorer};
use gateway_toxicity::{Category, Scorer};
use serde_json::json;

use crate::fixture::{Copy, Expected, close, folder};

fn open(name: &str) -> ClassifierScorer {
    ClassifierScorer::open(&folder(name)).expect("the fixture")
}

/// The scores of the texts, in the order of the fixture's labels `known`.
fn scores(scorer: &dyn Scorer, texts: &[&str], known: &[Category]) -> Vec<Vec<f32>> {
    let scores = scorer.score(texts).expect("scores");
    let row =
        |s: &gateway_toxicity::Scores| known.iter().map(|&c| s.get(c).expect("known")).collect();
    scores.iter().map(row).collect()
}

/// f32 sums of transformers and ours are in another order.
const TOLERANCE: f32 = 1e-5;

#[test]
fn bert_and_distilbert_agree_with_transformers() {
    let expected = Expected::load();
    let known = [Category::Toxicity, Category::Profanity, Category::Hate];
    for (name, rows) in [("bert", &expected.bert), ("distilbert", &expected.distilbert)] {
        let found = scores(&open(name), &expected.texts(), &known);
        for (found, row) in found.iter().zip(rows) {
            close(found, &[row[0], row[2], row[3]], TOLERANCE);
        }
    }
}

#[test]
fn roberta_agrees_with_transformers_and_a_single_label_is_a_softmax() {
    let expected = Expected::load();
    let known = [Category::Hate, Category::Profanity];
    let found = scores(&open("roberta"), &expected.texts(), &known);
    for (found, row) in found.iter().zip(&expected.roberta) {
        close(found, &row[1..], TOLERANCE);
    }
}

#[test]
fn a_text_has_the_same_bits_alone_and_in_a_batch() {
    let expected = Expected::load();
    let scorer = open("bert");
    let together = scorer.score(&expected.texts()).expect("scores");
    for (text, scores) in expected.texts().into_iter().zip(together) {
        assert_eq!(scorer.score(&[text]).expect("scores"), [scores]);
    }
}

#[test]
fn what_follows_the_longest_sequence_counts() {
    let scorer = open("bert");
    let (head, tail) = ("cat ".repeat(70), "dog ".repeat(70));
    let whole = scorer.score(&[&format!("{head}{tail}")]).expect("scores")[0];
    let parts = scorer.score(&[&head, &tail]).expect("scores");
    assert_ne!(parts[0], parts[1]);
    assert_eq!(whole, parts[0].max(&parts[1]));
}

#[test]
fn control_tokens_in_a_text_are_text() {
    let scorer = open("bert");
    let scores = scorer.score(&["cat [SEP] dog", "cat # sep # dog"]).expect("scores");
    assert_eq!(scores[0], scores[1], "a bracket is as unknown as any other sign");
}

#[test]
fn only_categories_that_a_label_means_are_known() {
    let scorer = open("bert");
    let known: Vec<_> = scorer.thresholds().iter().collect();
    let (toxicity, hate, profanity) = (Category::Toxicity, Category::Hate, Category::Profanity);
    assert_eq!(known, [(toxicity, 0.5), (hate, 0.5), (profanity, 0.5)]);
    assert!(scorer.score(&["cat"]).expect("scores")[0].get(Category::BiasRace).is_none());
}

#[test]
fn labels_without_meaning_are_refused_and_listed() {
    let copy = Copy::of("bert");
    let labels = json!({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2", "3": "LABEL_3"});
    copy.set("config.json", "id2label", labels);
    let error = ClassifierScorer::open(copy.path()).err().expect("refused");
    assert!(matches!(&error, EncoderError::Labels(labels) if labels.len() == 4), "{error}");
}

#[test]
fn the_version_changes_with_any_file_that_can_change_a_score() {
    let (first, same, other) = (Copy::of("bert"), Copy::of("bert"), Copy::of("bert"));
    other.set("config.json", "layer_norm_eps", json!(1e-6));
    let version = |copy: &Copy| open_scorer(copy.path()).expect("a scorer").version().to_owned();
    assert_eq!(version(&first), version(&same));
    assert_ne!(version(&first), version(&other));
    assert!(version(&first).starts_with("classifier-"));
}

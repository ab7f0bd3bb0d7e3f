//! Sentence encoders, and heads on them.

use gateway_toxicity::encoder::{Encoder, EncoderError, SentenceScorer, open_scorer};
use gateway_toxicity::{Scorer, score_text};
use serde_json::json;

use crate::fixture::{Copy, Expected, close, folder, heads, sentence_encoder};

#[test]
fn vectors_agree_with_transformers() {
    let expected = Expected::load();
    let found = sentence_encoder().embed(&expected.texts()).expect("vectors");
    for (found, expected) in found.iter().zip(&expected.sentence) {
        // f32 sums in another order.
        close(found, expected, 1e-5);
    }
}

#[test]
fn a_text_has_the_same_bits_alone_and_in_a_batch() {
    let expected = Expected::load();
    let encoder = sentence_encoder();
    let together = encoder.embed(&expected.texts()).expect("vectors");
    for (text, vector) in expected.texts().into_iter().zip(together) {
        assert_eq!(encoder.embed(&[text]).expect("a vector"), [vector]);
    }
}

#[test]
fn the_list_of_words_tokenises_as_the_full_tokenizer_does() {
    let copy = Copy::of("sentence");
    copy.remove("vocab.txt");
    let full = std::fs::read(folder("bert").join("tokenizer.json")).expect("the fixture");
    copy.write("tokenizer.json", full);
    let expected = Expected::load();
    let by_words = sentence_encoder().embed(&expected.texts()).expect("vectors");
    let by_file = Encoder::open(copy.path()).expect("an encoder").embed(&expected.texts());
    assert_eq!(by_words, by_file.expect("vectors"));
}

#[test]
fn pooling_and_normalisation_are_what_the_folder_says() {
    let copy = Copy::of("sentence");
    let vector = |copy: &Copy| {
        Encoder::open(copy.path()).expect("an encoder").embed(&["the cat"]).expect("a vector")
    };
    let mean = vector(&copy);
    copy.set("1_Pooling/config.json", "pooling_mode_mean_tokens", json!(false));
    copy.set("1_Pooling/config.json", "pooling_mode_cls_token", json!(true));
    assert_ne!(vector(&copy), mean);
    let module = |path: &str, kind: &str| json!({"path": path, "type": kind});
    let plain = json!([module("", "a.Transformer"), module("1_Pooling", "b.Pooling")]);
    copy.write("modules.json", plain.to_string());
    let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!((length(&mean[0]) - 1.0).abs() < 1e-6);
    assert!((length(&vector(&copy)[0]) - 1.0).abs() > 1e-3);
}

#[test]
fn pooling_that_is_not_computed_is_refused_by_name() {
    let copy = Copy::of("sentence");
    copy.set("1_Pooling/config.json", "pooling_mode_max_tokens", json!(true));
    let error = Encoder::open(copy.path()).err().expect("refused");
    assert_eq!(error.to_string(), "not supported: pooling over \"max_tokens and mean_tokens\"");
    let dense = json!([
        {"path": "", "type": "m.Transformer"},
        {"path": "1_Pooling", "type": "m.Pooling"},
        {"path": "2_Dense", "type": "m.Dense"},
    ]);
    copy.write("modules.json", dense.to_string());
    let error = Encoder::open(copy.path()).err().expect("refused");
    assert!(error.to_string().contains("Transformer, Pooling, Dense"), "{error}");
}

#[test]
fn a_scorer_is_its_heads_on_the_vector_of_a_text() {
    let encoder = sentence_encoder();
    let heads = heads(encoder.fingerprint());
    let vector = encoder.embed(&["the dog sat"]).expect("a vector").remove(0);
    let scorer = SentenceScorer::new(encoder, heads.clone()).expect("they fit");
    assert_eq!(scorer.score(&["the dog sat"]).expect("scores"), [heads.scores(&vector)]);
    assert_eq!(scorer.windows(), heads.windows());
    assert_eq!(scorer.thresholds(), &heads.thresholds());
    assert!(scorer.version().starts_with("test-heads-1-"));
}

#[test]
fn encoder_and_heads_in_one_folder_are_a_scorer() {
    let copy = Copy::of("sentence");
    assert!(open_scorer(copy.path()).is_err(), "it has no heads yet");
    let fingerprint = sentence_encoder().fingerprint().to_owned();
    heads(&fingerprint).save(copy.path()).expect("written");
    let scorer = open_scorer(copy.path()).expect("a scorer");
    let scores = score_text(&*scorer, &"the cat sat on a mat ".repeat(20)).expect("scores");
    assert_eq!(scores.iter().count(), 3);
}

#[test]
fn heads_of_another_encoder_are_refused() {
    let error = SentenceScorer::new(sentence_encoder(), heads("sha256:00")).err().expect("refused");
    assert!(matches!(error, EncoderError::OtherEncoder { .. }), "{error}");
}

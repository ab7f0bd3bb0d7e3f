//! Folders that are not what they should be: one test for each fault.

use gateway_toxicity::encoder::{ClassifierScorer, EncoderError};
use safetensors::Dtype;
use serde_json::{Value, json};

use crate::fixture::{Copy, Replacement, replace};

fn refusal(copy: &Copy) -> EncoderError {
    ClassifierScorer::open(copy.path()).err().expect("refused")
}

/// What is said of a BERT whose `config.json` has that value.
fn refusal_of(field: &str, value: Value) -> String {
    let copy = Copy::of("bert");
    copy.set("config.json", field, value);
    refusal(&copy).to_string()
}

/// What is said of a BERT whose tensor of that name is another one, or missing.
fn refusal_with(name: &str, replacement: Option<&Replacement>) -> EncoderError {
    let copy = Copy::of("bert");
    let weights = copy.read("model.safetensors");
    copy.write("model.safetensors", replace(&weights, name, replacement));
    refusal(&copy)
}

#[test]
fn a_missing_file_is_named() {
    for file in ["config.json", "model.safetensors"] {
        let copy = Copy::of("bert");
        copy.remove(file);
        assert_eq!(refusal(&copy).to_string(), format!("{file} cannot be read"));
    }
    let copy = Copy::of("bert");
    copy.remove("tokenizer.json");
    assert_eq!(refusal(&copy).to_string(), "vocab.txt cannot be read");
}

#[test]
fn a_roberta_without_its_tokenizer_file_is_refused_by_name() {
    let copy = Copy::of("roberta");
    copy.remove("tokenizer.json");
    let expected = "not supported: a RoBERTa tokenizer without tokenizer.json";
    assert_eq!(refusal(&copy).to_string(), expected);
}

#[test]
fn a_list_of_words_without_control_tokens_is_refused() {
    let copy = Copy::of("bert");
    copy.remove("tokenizer.json");
    copy.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\nthe\n");
    let expected = "the tokenizer is malformed: vocab.txt has no [SEP]";
    assert_eq!(refusal(&copy).to_string(), expected);
}

#[test]
fn what_changes_the_numbers_is_refused_by_name() {
    assert_eq!(refusal_of("model_type", json!("t5")), "not supported: model_type \"t5\"");
    assert_eq!(refusal_of("hidden_act", json!("silu")), "not supported: activation \"silu\"");
    assert_eq!(refusal_of("is_decoder", json!(true)), "not supported: is_decoder");
    let relative = refusal_of("position_embedding_type", json!("relative_key"));
    assert_eq!(relative, "not supported: position_embedding_type \"relative_key\"");
    let regression = refusal_of("problem_type", json!("regression"));
    assert_eq!(regression, "not supported: problem_type \"regression\" with 4 labels");
    let epsilon = refusal_of("layer_norm_eps", json!(-1.0));
    assert_eq!(epsilon, "not supported: a layer_norm_eps outside [0, 1]");
}

#[test]
fn sizes_out_of_bounds_are_refused() {
    for (field, value) in [
        ("hidden_size", 0),
        ("hidden_size", 1u64 << 40),
        ("num_attention_heads", 0),
        ("num_attention_heads", 3),
        ("num_hidden_layers", 1u64 << 40),
        ("vocab_size", 1u64 << 40),
        ("max_position_embeddings", 1),
        ("type_vocab_size", 1u64 << 40),
        ("intermediate_size", 0),
    ] {
        assert_eq!(
            refusal_of(field, json!(value)),
            format!("config.json: {field} cannot be {value}")
        );
    }
    let copy = Copy::of("roberta");
    copy.set("config.json", "pad_token_id", json!(72));
    assert_eq!(refusal(&copy).to_string(), "config.json: pad_token_id cannot be 73");
}

#[test]
fn a_token_without_an_embedding_is_refused() {
    let expected = "token 67 has no embedding: there are 60";
    assert_eq!(refusal_of("vocab_size", json!(60)), expected);
}

#[test]
fn a_skipped_label_is_refused() {
    let labels = json!({"0": "toxic", "2": "obscene"});
    assert_eq!(refusal_of("id2label", labels), "not supported: an id2label that skips an output");
}

#[test]
fn a_malformed_configuration_is_refused() {
    let copy = Copy::of("bert");
    copy.write("config.json", "{\"model_type\": 1}");
    assert_eq!(refusal(&copy).to_string(), "config.json is malformed");
}

#[test]
fn malformed_weights_are_refused() {
    let copy = Copy::of("bert");
    let bytes = copy.read("model.safetensors");
    copy.write("model.safetensors", &bytes[..bytes.len() - 1]);
    assert!(matches!(refusal(&copy), EncoderError::Safetensors(_)));
}

#[test]
fn a_missing_tensor_is_named() {
    let error = refusal_with("classifier.bias", None);
    assert_eq!(error.to_string(), "tensor classifier.bias is missing");
}

#[test]
fn a_tensor_of_another_shape_is_refused() {
    let error = refusal_with("classifier.bias", Some(&(Dtype::F32, vec![2], vec![0; 8])));
    assert_eq!(error.to_string(), "tensor classifier.bias has shape [2], not [4]");
}

#[test]
fn a_tensor_of_integers_is_refused() {
    let error = refusal_with("classifier.bias", Some(&(Dtype::I32, vec![4], vec![0; 16])));
    assert_eq!(error.to_string(), "not supported: a tensor of type I32");
}

#[test]
fn a_tensor_that_is_not_finite_is_refused() {
    let data = [1.0, f32::INFINITY, 0.0, 0.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let error = refusal_with("classifier.bias", Some(&(Dtype::F32, vec![4], data)));
    assert!(error.to_string().ends_with("holds a number that is not finite"), "{error}");
}

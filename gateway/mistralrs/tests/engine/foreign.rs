//! Architectures that our own decoder lacks.
//!
//! A Qwen2 model is a Llama with biases on queries, keys and values. With biases of 0 it is the
//! Llama, whose answers are held to exact arithmetic elsewhere.

use std::collections::HashMap;
use std::path::Path;

use gateway_engine::{Engine, Job, SubmitError};
use model::{Model, OpenError, ServedPrecision};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize_to_file};
use serde_json::{Value, json};

use crate::house::{House, answer, job, prompt, tiny, tiny_adapters, vector};

/// The tiny model as a Qwen2 model with biases of 0.
fn write_qwen2(folder: &Path) {
    for file in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        std::fs::copy(tiny().join(file), folder.join(file)).expect("copied");
    }
    let config = std::fs::read(tiny().join("config.json")).expect("the fixture");
    let mut config: Value = serde_json::from_slice(&config).expect("its form");
    config["architectures"] = json!(["Qwen2ForCausalLM"]);
    config["model_type"] = json!("qwen2");
    config["use_sliding_window"] = json!(false);
    config["max_window_layers"] = config["num_hidden_layers"].clone();
    config["sliding_window"] = config["max_position_embeddings"].clone();
    std::fs::write(folder.join("config.json"), config.to_string()).expect("written");

    let bytes = std::fs::read(tiny().join("model.safetensors")).expect("the fixture");
    let weights = SafeTensors::deserialize(&bytes).expect("its form");
    let zeros = vec![0_u8; 1 << 16];
    let mut tensors: HashMap<String, TensorView<'_>> = weights.tensors().into_iter().collect();
    for (name, weight) in weights.tensors() {
        let biased = ["q_proj.weight", "k_proj.weight", "v_proj.weight"];
        if let Some(stem) = biased
            .iter()
            .find_map(|end| name.ends_with(end).then(|| name.trim_end_matches(".weight")))
        {
            let outputs = weight.shape()[0];
            let bias = TensorView::new(Dtype::F32, vec![outputs], &zeros[..4 * outputs]);
            tensors.insert(format!("{stem}.bias"), bias.expect("a view"));
        }
    }
    serialize_to_file(tensors, None, &folder.join("model.safetensors")).expect("written");
}

#[tokio::test]
async fn a_qwen2_model_is_served_without_adapters() {
    let folder = tempfile::tempdir().expect("a folder");
    write_qwen2(folder.path());
    assert!(matches!(Model::open(folder.path()), Err(OpenError::Checkpoint(_))));
    let house = House::start(folder.path(), ServedPrecision::F32, 0);
    let llama = House::tiny();
    let (one, two) = (
        answer(&llama.engine, job(prompt(20, 1))).await,
        answer(&house.engine, job(prompt(20, 1))).await,
    );
    assert_eq!((&one.text, one.ids()), (&two.text, two.ids()));
    for (one, two) in one.logprobs().iter().zip(two.logprobs()) {
        assert!((one - two).abs() < 1e-5, "{one} {two}");
    }
    let context_tokens = |house: &House| house.engine.model().context_tokens;
    assert_eq!(context_tokens(&house), context_tokens(&llama));
    let adapters = vector(&tiny_adapters(), &[("one", 1.0)]);
    let refused = house.engine.submit(Job { adapters, ..job(prompt(9, 4)) }).err();
    assert!(matches!(refused, Some(SubmitError::Adapter { name, .. }) if name == "one"));
}

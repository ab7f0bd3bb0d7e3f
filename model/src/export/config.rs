//! The configuration files of a Hugging Face folder.

use serde_json::{Value, json};

use crate::Model;
use crate::checkpoint::Checkpoint;

/// `config.json`
pub(super) fn model(weights: &dyn Checkpoint) -> Value {
    let config = weights.config();
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "hidden_act": "silu",
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": !weights.has_head(),
        "hidden_size": config.hidden,
        "intermediate_size": config.intermediate,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.context_tokens,
        "rms_norm_eps": config.norm_epsilon,
        // Readers before transformers 5 know the first spelling, later ones the second.
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
    })
}

/// `tokenizer_config.json`
pub(super) fn tokenizer(model: &Model) -> Value {
    let tokenizer = model.tokenizer();
    let text = |id: Option<u32>| id.map(|id| tokenizer.decode(&[id]));
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": tokenizer.prompt_start().is_some(),
        "clean_up_tokenization_spaces": false,
    });
    let optional = [
        ("bos_token", text(tokenizer.bos())),
        ("eos_token", text(tokenizer.eos().first().copied())),
        ("chat_template", model.template().ok().map(|template| template.source().to_owned())),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            config[key] = value.into();
        }
    }
    config
}

/// `generation_config.json`
pub(super) fn generation(model: &Model) -> Value {
    json!({"eos_token_id": model.tokenizer().eos()})
}

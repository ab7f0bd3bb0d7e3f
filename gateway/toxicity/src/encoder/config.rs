//! What `config.json` says of an encoder.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::EncoderError;

/// Architectures that differ in the names of their weights, in where positions begin, and in how
/// a classifier reads the first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Bert,
    Roberta,
    DistilBert,
}

impl Family {
    fn parse(model_type: &str) -> Option<Self> {
        match model_type {
            "bert" => Some(Self::Bert),
            "roberta" | "xlm-roberta" => Some(Self::Roberta),
            "distilbert" => Some(Self::DistilBert),
            _ => None,
        }
    }
}

/// The nonlinearity of the feed-forward layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// x times the normal distribution function of x.
    Gelu,
    /// Its approximation by tanh.
    GeluTanh,
    Relu,
}

impl Activation {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            "relu" => Some(Self::Relu),
            _ => None,
        }
    }
}

/// Checked hyper-parameters.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) family: Family,
    pub(super) hidden: usize,
    pub(super) intermediate: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) vocabulary: usize,
    /// Rows of the table of positions, and which of them the first token has.
    pub(super) positions: usize,
    pub(super) first_position: usize,
    /// Rows of the table of token types; 0 if there is none.
    pub(super) types: usize,
    pub(super) epsilon: f64,
    pub(super) activation: Activation,
}

impl Config {
    /// The longest sequence, in tokens.
    pub(super) const fn longest(&self) -> usize {
        self.positions - self.first_position
    }
}

/// What is read of the file. Of each pair of names the second is DistilBERT's.
#[derive(Debug, Deserialize)]
pub(super) struct ConfigFile {
    pub(super) model_type: String,
    pub(super) architectures: Option<Vec<String>>,
    pub(super) problem_type: Option<String>,
    pub(super) id2label: Option<BTreeMap<String, String>>,
    #[serde(alias = "dim")]
    hidden_size: usize,
    #[serde(alias = "hidden_dim")]
    intermediate_size: usize,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    #[serde(alias = "activation")]
    hidden_act: Option<String>,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default)]
    type_vocab_size: usize,
    pad_token_id: Option<usize>,
    layer_norm_eps: Option<f64>,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
}

impl ConfigFile {
    /// The checked hyper-parameters.
    pub(super) fn check(&self) -> Result<Config, EncoderError> {
        let unsupported = |what: String| EncoderError::Unsupported(what);
        let family = Family::parse(&self.model_type)
            .ok_or_else(|| unsupported(format!("model_type {:?}", self.model_type)))?;
        let act = self.hidden_act.as_deref().unwrap_or("gelu");
        let activation =
            Activation::parse(act).ok_or_else(|| unsupported(format!("activation {act:?}")))?;
        if self.is_decoder {
            return Err(unsupported("is_decoder".into()));
        }
        let positions = self.position_embedding_type.as_deref().unwrap_or("absolute");
        if positions != "absolute" {
            return Err(unsupported(format!("position_embedding_type {positions:?}")));
        }
        let epsilon = self.layer_norm_eps.unwrap_or(1e-12);
        if !(0.0..=1.0).contains(&epsilon) {
            return Err(unsupported("a layer_norm_eps outside [0, 1]".into()));
        }
        self.bounds()?;
        let roberta = family == Family::Roberta;
        let first_position =
            if roberta { self.pad_token_id.unwrap_or(1).saturating_add(1) } else { 0 };
        let config = Config {
            family,
            hidden: self.hidden_size,
            intermediate: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            vocabulary: self.vocab_size,
            positions: self.max_position_embeddings,
            first_position,
            types: if family == Family::DistilBert { 0 } else { self.type_vocab_size },
            epsilon,
            activation,
        };
        within("pad_token_id", first_position, 0..=config.positions - SHORTEST)?;
        Ok(config)
    }

    /// Sizes that no honest file exceeds, so that a false one cannot take all memory.
    fn bounds(&self) -> Result<(), EncoderError> {
        within("hidden_size", self.hidden_size, 1..=16_384)?;
        within("intermediate_size", self.intermediate_size, 1..=65_536)?;
        within("num_hidden_layers", self.num_hidden_layers, 1..=256)?;
        within("num_attention_heads", self.num_attention_heads, 1..=256)?;
        within("vocab_size", self.vocab_size, 1..=1_000_000)?;
        within("max_position_embeddings", self.max_position_embeddings, SHORTEST..=65_536)?;
        within("type_vocab_size", self.type_vocab_size, 0..=1024)?;
        let rest = self.hidden_size % self.num_attention_heads;
        if rest != 0 {
            let (name, value) = ("num_attention_heads", self.num_attention_heads);
            return Err(EncoderError::Config { name, value });
        }
        Ok(())
    }
}

/// The shortest sequence that an encoder must take: the control tokens and some of a text.
pub(super) const SHORTEST: usize = 8;

pub(super) fn within(
    name: &'static str,
    value: usize,
    allowed: std::ops::RangeInclusive<usize>,
) -> Result<(), EncoderError> {
    if allowed.contains(&value) { Ok(()) } else { Err(EncoderError::Config { name, value }) }
}

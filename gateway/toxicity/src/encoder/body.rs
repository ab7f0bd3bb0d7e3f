//! The forward pass: tokens to hidden states.
//!
//! One text at a time and never any padding, so a text's result does not depend on its company.

use candle_core::{Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;

use super::EncoderError;
use super::config::{Activation, Config, Family};
use super::layers::{Linear, Norm};
use super::weights::Weights;

/// Embeddings and layers.
#[derive(Debug)]
pub(super) struct Body {
    words: Tensor,
    /// What is added to the word at each place: its position, and the first token type.
    places: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
}

impl Body {
    /// Reads the weights. A classifier has them under its architecture's name.
    pub(super) fn load(
        config: &Config,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, EncoderError> {
        let named = match config.family {
            Family::Bert => "bert.",
            Family::Roberta => "roberta.",
            Family::DistilBert => "distilbert.",
        };
        let first = "embeddings.word_embeddings.weight";
        let prefix = if weights.has(first) { "" } else { named };
        let width = config.hidden;
        let words = weights.tensor(&format!("{prefix}{first}"), &[config.vocabulary, width])?;
        let norm = format!("{prefix}embeddings.LayerNorm");
        Ok(Self {
            words,
            places: places(config, weights, prefix)?,
            norm: Norm::load(weights, &norm, width, config.epsilon)?,
            layers: (0..config.layers)
                .map(|layer| {
                    Layer::load(config, weights, &LayerNames::new(config.family, prefix, layer))
                })
                .collect::<std::result::Result<_, _>>()?,
        })
    }

    /// Hidden states (T, hidden) of the T tokens of a text.
    pub(super) fn forward(&self, tokens: &[u32]) -> Result<Tensor> {
        let ids = Tensor::new(tokens, &Device::Cpu)?;
        let places = self.places.narrow(0, 0, tokens.len())?;
        let x = (self.words.index_select(&ids, 0)? + places)?;
        let x = self.norm.forward(&x)?;
        self.layers.iter().try_fold(x, |x, layer| layer.forward(&x))
    }
}

fn places(
    config: &Config,
    weights: &Weights<'_>,
    prefix: &str,
) -> std::result::Result<Tensor, EncoderError> {
    let name = format!("{prefix}embeddings.position_embeddings.weight");
    let positions = weights.tensor(&name, &[config.positions, config.hidden])?;
    let positions = positions.narrow(0, config.first_position, config.longest())?.contiguous()?;
    if config.types == 0 {
        return Ok(positions);
    }
    let name = format!("{prefix}embeddings.token_type_embeddings.weight");
    let types = weights.tensor(&name, &[config.types, config.hidden])?;
    Ok(positions.broadcast_add(&types.narrow(0, 0, 1)?)?)
}

/// Attention and feed-forward, each added to its input and normalised.
#[derive(Debug)]
struct Layer {
    heads: usize,
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attention_norm: Norm,
    up: Linear,
    activation: Activation,
    down: Linear,
    norm: Norm,
}

impl Layer {
    fn load(
        config: &Config,
        weights: &Weights<'_>,
        names: &LayerNames,
    ) -> std::result::Result<Self, EncoderError> {
        let (width, inner) = (config.hidden, config.intermediate);
        let linear =
            |name: &str, inputs, outputs| Linear::load(weights, &names.full(name), inputs, outputs);
        let norm = |name: &str| Norm::load(weights, &names.full(name), width, config.epsilon);
        Ok(Self {
            heads: config.heads,
            query: linear(names.query, width, width)?,
            key: linear(names.key, width, width)?,
            value: linear(names.value, width, width)?,
            attended: linear(names.attended, width, width)?,
            attention_norm: norm(names.attention_norm)?,
            up: linear(names.up, width, inner)?,
            activation: config.activation,
            down: linear(names.down, inner, width)?,
            norm: norm(names.norm)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let attended = self.attended.forward(&self.attend(x)?)?;
        let x = self.attention_norm.forward(&(x + attended)?)?;
        let inner = self.activation.forward(&self.up.forward(&x)?)?;
        self.norm.forward(&(&x + self.down.forward(&inner)?)?)
    }

    /// softmax(Q Kᵀ / sqrt(d)) V in each head: (T, hidden) gives (T, hidden).
    fn attend(&self, x: &Tensor) -> Result<Tensor> {
        let (length, width) = x.dims2()?;
        let head_dim = width / self.heads;
        let split =
            |x: Tensor| x.reshape((length, self.heads, head_dim))?.transpose(0, 1)?.contiguous();
        let query = split(self.query.forward(x)?)?;
        let key = split(self.key.forward(x)?)?;
        let value = split(self.value.forward(x)?)?;
        #[expect(clippy::cast_precision_loss, reason = "a head's width")]
        let scale = 1.0 / (head_dim as f64).sqrt();
        let shares = softmax_last_dim(&(query.matmul(&key.t()?)? * scale)?)?;
        shares.matmul(&value)?.transpose(0, 1)?.contiguous()?.reshape((length, width))
    }
}

impl Activation {
    fn forward(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Gelu => x.gelu_erf(),
            Self::GeluTanh => x.gelu(),
            Self::Relu => x.relu(),
        }
    }
}

/// What a family calls the weights of a layer.
struct LayerNames {
    layer: String,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attended: &'static str,
    attention_norm: &'static str,
    up: &'static str,
    down: &'static str,
    norm: &'static str,
}

impl LayerNames {
    fn new(family: Family, prefix: &str, layer: usize) -> Self {
        match family {
            Family::Bert | Family::Roberta => Self {
                layer: format!("{prefix}encoder.layer.{layer}"),
                query: "attention.self.query",
                key: "attention.self.key",
                value: "attention.self.value",
                attended: "attention.output.dense",
                attention_norm: "attention.output.LayerNorm",
                up: "intermediate.dense",
                down: "output.dense",
                norm: "output.LayerNorm",
            },
            Family::DistilBert => Self {
                layer: format!("{prefix}transformer.layer.{layer}"),
                query: "attention.q_lin",
                key: "attention.k_lin",
                value: "attention.v_lin",
                attended: "attention.out_lin",
                attention_norm: "sa_layer_norm",
                up: "ffn.lin1",
                down: "ffn.lin2",
                norm: "output_layer_norm",
            },
        }
    }

    fn full(&self, name: &str) -> String {
        format!("{}.{name}", self.layer)
    }
}

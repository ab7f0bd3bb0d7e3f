//! The hyper-parameters of a Llama-family decoder.

use crate::Projection;

/// Shape and constants of a decoder, whatever file they were read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the MLP's hidden layer.
    pub intermediate: usize,
    /// Number of decoder layers.
    pub layers: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; `heads` is a multiple of it.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Number of token ids.
    pub vocabulary: usize,
    /// The longest sequence the model was trained for, in tokens.
    pub context_tokens: usize,
    /// Base of the rotary embedding's frequencies.
    pub rope_theta: f64,
    /// Added to the mean square before the root in RMS normalisation.
    pub norm_epsilon: f64,
}

impl Config {
    /// (inputs, outputs) of a projection.
    #[must_use]
    pub const fn shape(&self, projection: Projection) -> (usize, usize) {
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        match projection {
            Projection::Query => (self.hidden, q),
            Projection::Key | Projection::Value => (self.hidden, kv),
            Projection::Output => (q, self.hidden),
            Projection::Gate | Projection::Up => (self.hidden, self.intermediate),
            Projection::Down => (self.intermediate, self.hidden),
        }
    }
}

//! The layers that encoders are made of.

use candle_core::{Result, Tensor};

use super::EncoderError;
use super::weights::Weights;

/// `y = x Wᵀ + b`: (T, inputs) gives (T, outputs).
#[derive(Debug)]
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Reads `{name}.weight` and `{name}.bias`.
    pub(super) fn load(
        weights: &Weights<'_>,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> std::result::Result<Self, EncoderError> {
        let weight = weights.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = weights.tensor(&format!("{name}.bias"), &[outputs])?;
        Ok(Self { weight: weight.t()?.contiguous()?, bias })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight)?.broadcast_add(&self.bias)
    }
}

/// Layer normalisation of each row.
#[derive(Debug)]
pub(super) struct Norm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f32,
}

impl Norm {
    /// Reads `{name}.weight` and `{name}.bias`.
    pub(super) fn load(
        weights: &Weights<'_>,
        name: &str,
        width: usize,
        epsilon: f64,
    ) -> std::result::Result<Self, EncoderError> {
        #[expect(clippy::cast_possible_truncation, reason = "a small constant")]
        let epsilon = epsilon as f32;
        let weight = weights.tensor(&format!("{name}.weight"), &[width])?;
        Ok(Self { weight, bias: weights.tensor(&format!("{name}.bias"), &[width])?, epsilon })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::layer_norm(x, &self.weight, &self.bias, self.epsilon)
    }
}

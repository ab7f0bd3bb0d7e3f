//! What a step did: a line of the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A step of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Counted from 1.
    pub step: usize,
    /// Each term's loss before its weight, in nats; terms of one name are numbered.
    pub losses: BTreeMap<String, f32>,
    /// The learning rate.
    pub learning_rate: f64,
    /// Length of all gradients together, before clipping.
    pub gradient_norm: f64,
    /// Perplexity of neutral text as a multiple of the base's, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<f64>,
    /// KL from the base on that text, in nats a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl: Option<f64>,
    /// Tokens that went through the model with gradients, a second.
    pub tokens_per_second: f64,
}

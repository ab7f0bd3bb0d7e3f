//! Log-probabilities as OpenAI's two completion APIs show them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// `choices[].logprobs` of chat completions.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ChatLogprobs {
    /// One entry a token.
    pub content: Vec<TokenLogprob>,
    /// Lethe's models do not refuse by a channel of their own.
    pub refusal: Option<Vec<TokenLogprob>>,
}

/// A token, how likely it was, and what else was likely.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TokenLogprob {
    /// The token's text; bytes that are no character are U+FFFD.
    pub token: String,
    /// Natural log-probability.
    pub logprob: f32,
    /// The token's bytes.
    pub bytes: Vec<u8>,
    /// The likeliest tokens here, likeliest first.
    pub top_logprobs: Vec<TopLogprob>,
}

/// A likely token.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TopLogprob {
    /// The token's text.
    pub token: String,
    /// Natural log-probability.
    pub logprob: f32,
    /// The token's bytes.
    pub bytes: Vec<u8>,
}

/// `choices[].logprobs` of plain completions: four lists of the same length.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct CompletionLogprobs {
    /// Each token's text.
    pub tokens: Vec<String>,
    /// Natural log-probabilities; `None` for the first token of an echoed prompt.
    pub token_logprobs: Vec<Option<f32>>,
    /// The likeliest tokens at each place, the chosen one among them.
    pub top_logprobs: Vec<Option<BTreeMap<String, f32>>>,
    /// Where each token's text begins, in characters.
    pub text_offset: Vec<usize>,
}

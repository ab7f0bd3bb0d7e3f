//! What an engine is asked to do.

use std::sync::Arc;
use std::time::Instant;

use adapters::AdapterVector;

use crate::{Permit, TraceContext};

/// One sequence to generate.
///
/// A request for `n` choices is `n` jobs; an engine shares the work of their common prompt.
#[derive(Debug)]
pub struct Job {
    /// Token ids of the prompt, at least one.
    pub prompt: Vec<u32>,
    /// Which adapters apply, and how strongly; the leases inside keep them resident.
    pub adapters: AdapterVector,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// When generation ends.
    pub limits: Limits,
    /// What the text must conform to.
    pub grammar: Grammar,
    /// Which log-probabilities to report.
    pub logprobs: Logprobs,
    /// Further sequences that go along and get the same tokens.
    pub companions: Vec<Companion>,
    /// What the model's distributions along the prompt are to be compared with.
    pub comparison: Option<Comparison>,
    /// Whether it gives way to others.
    pub priority: Priority,
    /// The trace that it is part of, for servers that do some of it.
    pub trace: Option<TraceContext>,
    /// The job fails with [`EngineError::Deadline`](crate::EngineError::Deadline) at this time.
    pub deadline: Instant,
    /// Place in the house, shared by the jobs of one request.
    pub permit: Arc<Permit>,
}

/// Whether a job gives way to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// Somebody waits for it.
    #[default]
    Foreground,
    /// Nobody does: it is computed only while no foreground job could be, and everything that it
    /// holds is theirs as soon as they need it. It may wait until its deadline.
    Background,
}

/// A sequence that accompanies a job in the batch and gets every token that the job draws.
///
/// Rules that compare distributions read its logits: an expert is a companion with other adapters,
/// a bias-describing prefix is a companion with a longer prompt.
#[derive(Debug)]
pub struct Companion {
    /// Token ids of its prompt, at least one.
    pub prompt: Vec<u32>,
    /// Its adapters.
    pub adapters: AdapterVector,
}

/// Asks how far a job's adapters move the model from where others would, along its prompt.
///
/// To compare along an answer, the answer is part of the prompt.
#[derive(Debug)]
pub struct Comparison {
    /// The other adapters.
    pub adapters: AdapterVector,
    /// The first token of the prompt that counts; what is before it is context.
    pub from: usize,
}

impl Job {
    /// Every sequence that is computed for it: its own, its companions', and the one that it is
    /// compared with.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = (&Vec<u32>, &AdapterVector)> {
        let companions = self.companions.iter().map(|c| (&c.prompt, &c.adapters));
        let compared = self.comparison.iter().map(|c| (&self.prompt, &c.adapters));
        [(&self.prompt, &self.adapters)].into_iter().chain(companions).chain(compared)
    }
}

/// How the next token is drawn from the model's distribution.
///
/// The steps are applied in this order: logit bias, penalties, temperature, top-k, top-p, min-p.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token; 1 leaves the distribution as it is.
    pub temperature: f32,
    /// Keep the smallest set of tokens whose probability sums to at least this; 1 keeps all.
    pub top_p: f32,
    /// Keep this many of the likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep tokens at least this fraction as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divides positive (multiplies negative) logits of tokens in prompt or output; 1 is off.
    pub repetition_penalty: f32,
    /// Subtracted once from the logit of every token in the output; 0 is off.
    pub presence_penalty: f32,
    /// Subtracted from a token's logit for each time it occurs in the output; 0 is off.
    pub frequency_penalty: f32,
    /// Added to the logits of these token ids.
    pub logit_bias: Vec<(u32, f32)>,
    /// Same seed, same prompt, same adapters: same tokens, whatever else runs.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

/// When generation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// At most this many new tokens; 0 generates none (useful with [`Logprobs::prompt`]).
    pub max_tokens: usize,
    /// End-of-text and stop tokens cannot be drawn before this many new tokens.
    pub min_tokens: usize,
    /// Do not stop at the model's end-of-text tokens.
    pub ignore_eos: bool,
    /// Texts that end generation; they are not part of the output.
    pub stop: Vec<String>,
    /// Further tokens that end generation; they are not part of the output.
    pub stop_tokens: Vec<u32>,
}

impl Limits {
    /// The fewest new tokens for which there must be room.
    #[must_use]
    pub fn least_tokens(&self) -> usize {
        self.min_tokens.max(1).min(self.max_tokens)
    }
}

/// What the generated text must conform to.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Grammar {
    /// Anything.
    #[default]
    Free,
    /// One JSON object.
    JsonObject,
    /// One JSON value that the schema accepts.
    JsonSchema(serde_json::Value),
}

/// Which log-probabilities to report. They are natural logarithms of the model's own
/// distribution, before penalties, bias and temperature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Logprobs {
    /// Of every new token, with this many of the likeliest alternatives (0 to 20).
    pub generated: Option<usize>,
    /// Of every prompt token given those before it, with this many alternatives.
    pub prompt: Option<usize>,
}

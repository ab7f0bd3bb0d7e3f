//! `POST /v1/completions`: the reply, whole and in chunks.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{Applied, ChatModeration, CompletionLogprobs, FinishReason, Usage};

/// A whole reply.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Completion<'a> {
    /// `cmpl-...`
    pub id: &'a str,
    /// `text_completion`
    pub object: &'static str,
    /// Seconds since the epoch.
    pub created: u64,
    /// The base model's name.
    pub model: &'a str,
    /// Identity of the weights.
    pub system_fingerprint: &'a str,
    /// `n` for each prompt, in the prompts' order.
    pub choices: Vec<CompletionChoice>,
    /// What it took.
    pub usage: Usage,
    /// If asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderation: Option<ChatModeration>,
    /// What Lethe applied.
    pub lethe: &'a Applied,
}

/// One answer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CompletionChoice {
    /// Prompt number times `n`, plus the number of the choice.
    pub index: usize,
    /// The text, after the prompt's if that was to be echoed.
    pub text: String,
    /// If asked for.
    pub logprobs: Option<CompletionLogprobs>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// A piece of a stream.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CompletionChunk<'a> {
    /// The same in all chunks.
    pub id: &'a str,
    /// `text_completion`
    pub object: &'static str,
    /// Seconds since the epoch; the same in all chunks.
    pub created: u64,
    /// The base model's name.
    pub model: &'a str,
    /// Identity of the weights.
    pub system_fingerprint: &'a str,
    /// One piece of one answer; none in the chunks with the moderation and the usage.
    pub choices: Vec<CompletionChunkChoice>,
    /// Absent if not asked for, and null until the last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
    /// In a chunk of its own, after all answers, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderation: Option<ChatModeration>,
    /// In the first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lethe: Option<&'a Applied>,
}

/// A piece of one answer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CompletionChunkChoice {
    /// Which answer.
    pub index: usize,
    /// What is new.
    pub text: String,
    /// If asked for.
    pub logprobs: Option<CompletionLogprobs>,
    /// Set in the answer's last chunk.
    pub finish_reason: Option<FinishReason>,
}

//! `POST /v1/chat/completions`: the reply, whole and in chunks.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{Applied, ChatLogprobs, ChatModeration, FinishReason, Usage};

/// A whole reply.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ChatCompletion<'a> {
    /// `chatcmpl-...`
    pub id: &'a str,
    /// `chat.completion`
    pub object: &'static str,
    /// Seconds since the epoch.
    pub created: u64,
    /// The base model's name.
    pub model: &'a str,
    /// Identity of the weights.
    pub system_fingerprint: &'a str,
    /// One for each of `n`.
    pub choices: Vec<ChatChoice>,
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
pub struct ChatChoice {
    /// From 0.
    pub index: usize,
    /// The answer.
    pub message: ReplyMessage,
    /// If asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// The assistant's turn.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReplyMessage {
    /// `assistant`
    pub role: &'static str,
    /// Its text.
    pub content: String,
    /// Always null: the key is part of the shape.
    pub refusal: Option<String>,
}

/// A piece of a stream.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ChatChunk<'a> {
    /// The same in all chunks.
    pub id: &'a str,
    /// `chat.completion.chunk`
    pub object: &'static str,
    /// Seconds since the epoch; the same in all chunks.
    pub created: u64,
    /// The base model's name.
    pub model: &'a str,
    /// Identity of the weights.
    pub system_fingerprint: &'a str,
    /// One piece of one answer; none in the chunks with the moderation and the usage.
    pub choices: Vec<ChunkChoice>,
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
pub struct ChunkChoice {
    /// Which answer.
    pub index: usize,
    /// What is new.
    pub delta: Delta,
    /// If asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// Set in the answer's last chunk.
    pub finish_reason: Option<FinishReason>,
}

/// What a chunk adds to the message.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Delta {
    /// In the answer's first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// More text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

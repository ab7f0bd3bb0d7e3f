//! What the replies of both completion APIs have in common.

use schemars::JsonSchema;
use serde::Serialize;

/// Why an answer ended, in OpenAI's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it, or a stop text or token was met.
    Stop,
    /// The token limit or the context's end was reached.
    Length,
    /// Moderation ended it, or let none begin.
    ContentFilter,
}

/// The `lethe` block: what was applied to the answer.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Applied {
    /// The adapters, sorted by name; none for the base model.
    pub adapters: Vec<AppliedAdapter>,
    /// The version of the scorer, if prompt or answers are scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scorer: Option<String>,
}

/// An adapter that was applied.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AppliedAdapter {
    /// Its name.
    pub name: String,
    /// How strongly.
    pub scale: f32,
    /// The content it stood for at admission.
    pub digest: String,
}

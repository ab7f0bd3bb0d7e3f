//! How many tokens a request took.

use schemars::JsonSchema;
use serde::Serialize;

/// Token counts of a request, over all its choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens generated.
    pub completion_tokens: usize,
    /// The sum.
    pub total_tokens: usize,
    /// What the prompt's tokens were.
    pub prompt_tokens_details: PromptTokensDetails,
}

/// What the prompt's tokens were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PromptTokensDetails {
    /// Those that came from the prefix cache.
    pub cached_tokens: usize,
}

impl Usage {
    /// Counts of a request.
    #[must_use]
    pub const fn new(prompt_tokens: usize, cached_tokens: usize, completion_tokens: usize) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptTokensDetails { cached_tokens },
        }
    }
}

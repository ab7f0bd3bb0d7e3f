//! OpenAI request, response, stream and error types, and Lethe's own beside them.
//!
//! Requests are parsed, not validated: what comes out of a `parse` is whole, bounded and in range,
//! and every fault names its parameter. This crate knows no HTTP server, no engine and no model.
//!
//! **Invariant:** no input makes a parser panic, and none is accepted that is silently ignored in
//! part: ignored fields are listed in the result.
#![warn(missing_docs)]

mod adapters;
mod body;
mod chat;
mod completions;
mod error;
mod extras;
mod format;
mod logprobs;
mod models;
mod moderation;
mod object;
mod options;
mod reply;
mod request;
mod schema;
pub mod selection;
pub mod sse;
mod tokens;
mod usage;

pub use adapters::{
    Adapter, Deleted, ExpectedGeneration, LlamaAdapter, LoadRequest, VllmLoadRequest,
    VllmUnloadRequest,
};
pub use body::Body;
pub use chat::{
    ChatChoice, ChatChunk, ChatCompletion, ChatRequest, ChunkChoice, Delta, Message, ReplyMessage,
    Role,
};
pub use completions::{
    Completion, CompletionChoice, CompletionChunk, CompletionChunkChoice, CompletionRequest, Prompt,
};
pub use error::{ErrorBody, ErrorDetail};
pub use extras::{HARMLESS as HARMLESS_FIELDS, OTHER as OTHER_FIELD, REFUSED as REFUSED_FIELDS};
pub use format::ResponseFormat;
pub use logprobs::{ChatLogprobs, CompletionLogprobs, TokenLogprob, TopLogprob};
pub use models::{List, Model};
pub use moderation::{
    Categories, CategoryScore, ChatModeration, ModerationItem, ModerationMode, ModerationParam,
    ModerationReply, ModerationRequest, ModerationResult, STANDARD_CATEGORIES, Verdict,
};
pub use options::{Delivery, MAX_CHOICES, Options};
pub use reply::{Applied, AppliedAdapter, FinishReason};
pub use request::{Fault, RequestError};
pub use selection::Selection;
pub use tokens::{
    DetokenizeReply, DetokenizeRequest, TokenizeInput, TokenizeReply, TokenizeRequest,
};
pub use usage::{PromptTokensDetails, Usage};

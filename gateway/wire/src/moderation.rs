//! Moderation: what a request asks for, and what a reply says.

mod reply;
mod request;

pub use reply::{
    Categories, CategoryScore, ChatModeration, ModerationItem, ModerationReply, ModerationResult,
    STANDARD_CATEGORIES, Verdict,
};
pub use request::{ModerationMode, ModerationParam, ModerationRequest};

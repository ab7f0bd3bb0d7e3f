//! Claims about the wire types, by example and by property.
#![expect(clippy::expect_used, reason = "a test fails where it stands")]
#![expect(clippy::needless_pass_by_value, reason = "JSON literals are written in place")]

mod chat;
mod completions;
mod management;
mod moderation;
mod parsers;
mod selection;
mod sse;

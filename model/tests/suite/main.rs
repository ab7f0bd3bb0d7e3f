//! The model from outside: its decoders on a tiny fixture, and the default model's text side.
#![expect(clippy::expect_used, reason = "a test fails where it stands")]

mod decoder;
mod text;

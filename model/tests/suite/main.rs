//! The model from outside: its decoders on a tiny fixture, the tensor types of GGUF files, and the
//! default model's text side.
#![expect(clippy::expect_used, reason = "a test fails where it stands")]

mod decoder;
mod formats;
mod text;

//! Encoders against transformers, on the models that `tests/reference/tiny_encoders.py` wrote.

#![expect(clippy::expect_used, reason = "a helper that fails is a failed test")]

mod classifier;
mod fixture;
mod folder;
mod heads;
mod sentence;

//! The local engine on the tiny fixture model.

#![expect(clippy::expect_used, reason = "a helper that fails is a failed test")]

mod divergence;
mod house;
mod invariance;
mod life;
mod limits;
mod structure;

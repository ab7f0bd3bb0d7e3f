//! The engine over mistral.rs, on the tiny fixture model and on the default one.
//!
//! `cargo test -p gateway-mistralrs --features mistralrs`; the default model is fetched if it is
//! not in the cache yet.

#![expect(clippy::expect_used, reason = "a helper that fails is a failed test")]
#![expect(clippy::panic, reason = "the same")]
#![expect(clippy::print_stdout, reason = "figures for the record, with --nocapture")]

mod agreement;
mod foreign;
mod house;
mod life;
mod limits;
mod variants;

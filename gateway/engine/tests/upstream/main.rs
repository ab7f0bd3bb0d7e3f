//! The upstream engine on scripted servers.

#![expect(clippy::expect_used, reason = "a helper that fails is a failed test")]

mod answers;
mod faults;
mod fleet;
mod house;
mod placement;

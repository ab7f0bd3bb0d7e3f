//! The gateway over TCP, with the scripted engine behind it.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails where it stands")]
#![expect(clippy::needless_pass_by_value, reason = "JSON literals are written in place")]

mod adapters;
mod audit;
mod chat;
mod client;
#[cfg(feature = "otel")]
mod collector;
mod completions;
mod cors;
mod crash;
mod damage;
mod descriptors;
mod disconnect;
mod errors;
mod full_disk;
mod hosting;
mod house;
mod keys;
mod metrics;
mod models;
mod moderation;
mod program;
mod reference;
mod rolling;
mod scorer;
mod selection;
mod settings;
mod shadow;
mod shutdown;
mod stream;
mod tls;
#[cfg(feature = "otel")]
mod traces;
mod upstream;

//! The whole gateway over TCP: the local engine on a tiny seeded model, and seeded adapters that
//! debias nothing. Tests are named after what other servers get wrong.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails where it stands")]
#![expect(clippy::needless_pass_by_value, reason = "JSON literals are written in place")]

mod arrows;
#[path = "../../../gateway/server/tests/server/client.rs"]
mod client;
mod clients;
mod disconnect;
mod door;
#[path = "../../../gateway/server/tests/server/hosting.rs"]
mod hosting;
mod house;
mod isolation;
mod lifecycle;
mod moderation;
mod openapi;
mod operations;

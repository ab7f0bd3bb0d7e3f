//! The Lethe gateway: an HTTP server in front of an engine and a catalogue of adapters.
//!
//! A request's walk: [`routes`] parse the body into wire types, take a permit, resolve adapter
//! names to leases, turn text into tokens, and submit jobs to the engine; `generation` follows the
//! jobs, `moderation` lets pass what they say, and `replies` writes what they say, in one piece or as a stream.
//!
//! **Invariant:** one permit lives from admission to the last token, and no request is served by
//! the base model because something that it named was not there.

pub mod audit;
mod body;
mod call;
mod chance;
mod choice;
mod clock;
mod cors;
pub mod descriptors;
mod disconnect;
mod error;
mod gateway;
mod generation;
pub mod keys;
pub mod local;
mod metrics;
mod mistral;
mod moderation;
mod note;
mod observe;
mod prepared;
pub mod reference;
mod replies;
mod request_id;
pub mod routes;
mod scoring;
pub mod settings;
mod shadow;
pub mod shutdown;
pub mod startup;
pub mod telemetry;
pub mod tls;
mod trace;
pub mod upstream;
mod watch;

pub use error::{ApiError, Code, INVALID_CODES};
pub use gateway::{Gateway, Loaded, Phase};
pub use metrics::Metrics;
pub use moderation::ModerationError;

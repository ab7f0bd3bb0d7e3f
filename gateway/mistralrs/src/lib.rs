//! mistral.rs as an engine: `gateway_engine::Engine` over the published crate `mistralrs-core`
//! 0.8.1, behind the feature `mistralrs`.
//!
//! What it cannot do by itself is done here. It has no adapters per request, so each adapter set is
//! merged into a model *variant* of its own, which is loaded and unloaded at run time within a
//! budget of bytes ([`pool`]). It has no seed, logit bias, natural logarithms or grammar of ours,
//! so it only computes logits: every token is drawn by the sampler of the local engine, in its
//! logits processor, and prompts go in as token ids that our own tokenizer and template made.
//!
//! Without the feature there is only what needs no mistral.rs, which the ordinary tests cover.
//!
//! **Invariant:** a job's output does not depend on its company: a variant computes one sequence at
//! a time, and reuses nothing of others.
#![warn(missing_docs)]

#[cfg(feature = "mistralrs")]
mod base;
#[cfg(feature = "mistralrs")]
mod engine;
#[cfg(feature = "mistralrs")]
mod job;
pub mod ledger;
#[cfg(feature = "mistralrs")]
mod line;
#[cfg(feature = "mistralrs")]
mod load;
pub mod pool;
#[cfg(feature = "mistralrs")]
mod reader;
pub mod scratch;
#[cfg(feature = "mistralrs")]
mod tap;
#[cfg(feature = "mistralrs")]
mod variant;

#[cfg(feature = "mistralrs")]
pub use base::Base;
#[cfg(feature = "mistralrs")]
pub use engine::{MistralEngine, MistralSettings, StartError};

//! The base model: weights, tokenizer, chat template, and one decoder with delta slots.
//!
//! This crate knows nothing of adapters, servers or training; it offers the places where they act.
#![warn(missing_docs)]

mod config;
mod delta;
mod error;
mod rows;
mod site;

pub use config::Config;
pub use delta::{Delta, NoDelta};
pub use error::ModelError;
pub use rows::Rows;
pub use site::{Projection, Site};

//! The base model: weights, tokenizer, chat template, and one decoder with delta slots.
//!
//! This crate knows nothing of adapters, servers or training; it offers the places where they act.
#![warn(missing_docs)]

mod cache;
pub mod checkpoint;
mod config;
mod decoder;
mod delta;
mod dense;
mod error;
pub mod export;
mod hex;
pub mod kernels;
mod model;
mod packed;
mod rows;
mod site;
pub mod source;
mod template;
mod text_side;
mod tokenizer;

pub use cache::{BLOCK_TOKENS, KvCache};
pub use config::Config;
pub use delta::{Delta, NoDelta, RowDelta};
pub use dense::{DenseDecoder, Recording};
pub use error::ModelError;
pub use model::{Model, OpenError};
pub use packed::{PackedDecoder, Segment, ServedPrecision};
pub use rows::Rows;
pub use site::{Projection, Site};
pub use template::{ChatTemplate, Message, TemplateError};
pub use text_side::TextSide;
pub use tokenizer::{Control, Tokenizer, TokenizerError};

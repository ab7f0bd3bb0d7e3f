//! What is learned from and measured on: texts of public data sets, by domain and part.
//!
//! **Invariant:** a text and its near copies are in one part, whoever reads them: what the trainer
//! or the toxicity scorer has learned from is never what either is measured on.

mod part;
pub(crate) mod table;

pub use part::Part;
pub(crate) use part::{key, letters};

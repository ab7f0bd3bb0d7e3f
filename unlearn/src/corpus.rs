//! What is learned from and measured on: texts of public data sets, by domain and part.
//!
//! **Invariant:** a text and its near copies are in one part, whoever reads them: what the trainer
//! or the toxicity scorer has learned from is never what either is measured on.

mod chat;
mod cleaning;
mod definitional;
mod descriptive;
mod domain;
mod part;
pub(crate) mod redditbias;
pub(crate) mod table;
mod templates;
mod text;
pub(crate) mod toxic_spans;
mod wikitext;

pub use chat::chat;
pub(crate) use cleaning::cleaned;
pub use definitional::{Probe, definitional, definitional_sentences};
pub use descriptive::descriptive;
pub use domain::{Domain, UnknownDomain};
pub use part::Part;
pub(crate) use part::key;
pub(crate) use part::letters;
pub use redditbias::{biased, split_digest, unbiased};
pub use text::Text;
pub(crate) use text::runs;
pub use toxic_spans::toxic_spans;
pub use wikitext::{wikitext, wikitext_guard};

//! What an adapter is: its name, format, card, digest, catalogue and leases, and the stacked
//! low-rank operation that applies it.
#![warn(missing_docs)]

mod name;

pub use name::{AdapterName, NameError};

//! What an engine over mistral.rs needs that is not mistral.rs: which model variants are in memory
//! ([`pool`]), where merged models lie while they are loaded ([`scratch`]), and which jobs wait and
//! run ([`ledger`]).
#![warn(missing_docs)]

pub mod ledger;
pub mod pool;
pub mod scratch;

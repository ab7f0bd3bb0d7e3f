//! The offline side: adapters are made, and what a model says is measured with and without them.
//!
//! Nothing here serves. Data sets are read from the folder that the caller names, and no text of
//! theirs leaves this crate, neither in reports nor in errors.
#![warn(missing_docs)]

pub mod card;
pub mod corpus;
pub mod evaluation;
pub mod loss;
pub mod mask;
mod optimiser;
pub mod random;
pub mod report;
pub mod scorer;
pub mod seeded;
pub mod swap;
pub mod training;

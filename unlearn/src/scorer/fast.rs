//! The fast scorer's making: a run file in, a file for the gateway out.

mod corpus;
mod embedding;
mod network;
mod run;
mod training;

pub use embedding::{Encoder, open_encoder};
pub use run::{FastRun, RunError};
pub use training::{Progress, TrainError, train};

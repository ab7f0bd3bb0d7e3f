//! Making an adapter: from a run file and data to low-rank weights.
//!
//! Read [`Trainer::run`] first: schedule, losses, backward pass, guarded step, log, checkpoint.
//!
//! **Invariant:** what a step does follows from run file, base weights, data and the step's number
//! alone, so that a run that was cut off goes on, bit for bit, as if it had not been.

mod batch;
mod batches;
pub mod benchmark;
mod checkpoint;
mod continued;
mod dataset;
mod delta;
mod guard;
mod objective;
mod pool;
mod record;
mod run;
mod schedule;
mod trainer;

pub use checkpoint::{Best, CheckpointError};
pub use continued::ContinuedError;
pub use dataset::{Dataset, DatasetError};
pub use delta::TrainableDelta;
pub use guard::{Drift, GuardError};
pub use record::Record;
pub use run::{Guards, Loss, PairLoss, Precision, Run, RunError, Shape, Source, Term, TextLoss};
pub use schedule::Schedule;
pub use trainer::{TrainError, Trained, Trainer};

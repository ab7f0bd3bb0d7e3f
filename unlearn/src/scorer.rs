//! The program's own toxicity scorers: made, and measured.
//!
//! Data sets and a grammar give labelled texts, a small network learns from them, its scores are
//! calibrated on texts that it has not seen, and a card says how well it does on others again.
//!
//! **Invariant:** what is measured is the scorer that the gateway runs, read from the file that it
//! reads.

mod calibration;
pub mod data;
pub mod evaluation;
pub mod fast;
pub mod grammar;
pub mod heads;
pub mod lexicon;
pub mod perturbation;

//! What training descends: one file for each loss, pure functions of tensors.
//!
//! Logits are (N, V) in f32: what the model says at the N positions that a loss needs and nowhere else, so
//! other positions get exactly no gradient. `targets` (N) are the tokens that stand there in the
//! text. Every loss is a scalar to *descend*, in nats.

pub mod agreement;
pub mod ascent;
mod columns;
pub mod counterfactual;
pub mod cross_entropy;
pub mod dpo;
pub mod exchange;
pub mod kl;
pub mod likelihood;
pub mod nll;
pub mod npo;
pub mod undial;

#[cfg(test)]
mod tests;

//! What can go wrong while a model runs.

use crate::Site;

/// Why a forward pass failed.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Shapes at a site do not fit.
    #[error("at {site}: {what} has width {found}, expected {expected}")]
    Shape {
        /// Where.
        site: Site,
        /// Which operand.
        what: &'static str,
        /// Its width.
        found: usize,
        /// What the site needs.
        expected: usize,
    },
    /// A token id is outside the vocabulary.
    #[error("token id {0} is outside the vocabulary")]
    Token(u32),
    /// candle refused an operation.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

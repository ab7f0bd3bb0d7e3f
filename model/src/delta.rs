//! The delta slot of a linear layer.
//!
//! The decoder calls the slot after every projection and knows nothing of what fills it: serving
//! plugs in the stacked low-rank sum over [`Rows`](crate::Rows), training the trainable one over
//! candle tensors, and a neuron mask can act on the MLP's hidden units the same way.

use crate::{ModelError, Site};

/// Something that changes the output of linear layers.
///
/// `R` is the activation type of the backend that runs the decoder.
pub trait Delta<R> {
    /// Adds this delta at `site` to `y` (rows, outputs), the layer's output for `x` (rows, inputs).
    ///
    /// A delta that has nothing for a row must leave the row's bits as they are.
    ///
    /// # Errors
    /// [`ModelError`] if the shapes do not fit the site.
    fn add(&self, site: Site, x: &R, y: &mut R) -> Result<(), ModelError>;
}

/// The base model as it is: a delta that adds nothing anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDelta;

impl<R> Delta<R> for NoDelta {
    fn add(&self, _: Site, _: &R, _: &mut R) -> Result<(), ModelError> {
        Ok(())
    }
}

//! The delta slot of a linear layer.
//!
//! The decoder asks the slot at every projection and knows nothing of what fills it: serving plugs in
//! the low-rank updates of each row's adapters, training a trainable delta over candle tensors.

use crate::kernels::low_rank::Update;
use crate::{ModelError, Site};

/// Something that changes the output of linear layers of the dense decoder.
///
/// `R` is the decoder's activation type.
pub trait Delta<R> {
    /// Adds this delta at `site` to `y` (rows, outputs), the layer's output for `x` (rows, inputs).
    ///
    /// A delta that has nothing for a row must leave the row's bits as they are.
    ///
    /// # Errors
    /// [`ModelError`] if the shapes do not fit the site.
    fn add(&self, site: Site, x: &R, y: &mut R) -> Result<(), ModelError>;
}

/// Something that changes the output of linear layers of the packed decoder, which adds it in the
/// same turn of the pool as it computes the layer.
pub trait RowDelta {
    /// The updates at `site`; for each row they are added in the order in which they stand. A row
    /// without an update keeps its bits.
    fn updates(&self, site: Site) -> Vec<Update<'_>>;
}

/// The base model as it is: a delta that adds nothing anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDelta;

impl<R> Delta<R> for NoDelta {
    fn add(&self, _: Site, _: &R, _: &mut R) -> Result<(), ModelError> {
        Ok(())
    }
}

impl RowDelta for NoDelta {
    fn updates(&self, _: Site) -> Vec<Update<'_>> {
        Vec::new()
    }
}

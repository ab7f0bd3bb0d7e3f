//! Columns that are named for each row of logits.

use candle_core::{Result, Tensor, bail};

/// The shape (N, V) of `logits`, if there are as many `lists` of columns as rows and every column is
/// in the vocabulary.
pub(super) fn shape(
    logits: &Tensor,
    lists: usize,
    mut columns: impl Iterator<Item = u32>,
) -> Result<(usize, usize)> {
    let (rows, width) = logits.dims2()?;
    if lists != rows || columns.any(|column| column as usize >= width) {
        bail!("{rows} rows need as many lists of columns below {width}");
    }
    Ok((rows, width))
}

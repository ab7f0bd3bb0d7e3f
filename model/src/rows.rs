//! Activations of a batch on the CPU.

use crate::kernels::scratch::Scratch;

/// A batch of activation rows: (rows, width) f32, row-major.
///
/// A row is one token of one sequence. Operations on rows never mix them, so a row's result does
/// not depend on the batch around it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    values: Scratch<f32>,
    width: usize,
}

impl Rows {
    /// `rows` rows of zeros.
    #[must_use]
    pub fn zeros(rows: usize, width: usize) -> Self {
        Self { values: Scratch::zeroed(rows * width), width }
    }

    /// `rows` rows of any values, which are to be written before they are read.
    #[must_use]
    pub(crate) fn unset(rows: usize, width: usize) -> Self {
        Self { values: Scratch::any(rows * width), width }
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Values in a row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Row `index`.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..][..self.width]
    }

    /// The given rows, in the given order.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn gather(&self, rows: impl ExactSizeIterator<Item = usize>) -> Self {
        let mut gathered = Self::unset(rows.len(), self.width);
        for (to, from) in rows.enumerate() {
            gathered.row_mut(to).copy_from_slice(self.row(from));
        }
        gathered
    }

    /// Row `index`, to be changed.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index * self.width..][..self.width]
    }

    /// All values, row after row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, to be changed.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

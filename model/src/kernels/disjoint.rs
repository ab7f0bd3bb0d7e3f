//! Many writers, one matrix, no overlap.
//!
//! Threads that share an output each own other columns of every row, which safe slices cannot say.

#![expect(unsafe_code, reason = "hands out non-overlapping parts of one slice to several threads")]

use std::marker::PhantomData;
use std::ops::Range;

/// A (rows, width) matrix whose rectangles are written by different threads.
pub(crate) struct DisjointRows<'a> {
    start: *mut f32,
    rows: usize,
    width: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer is only used through `columns`, whose callers promise disjoint rectangles.
unsafe impl Sync for DisjointRows<'_> {}

impl<'a> DisjointRows<'a> {
    /// Borrows `values` as rows of `width`.
    pub(crate) fn new(values: &'a mut [f32], width: usize) -> Self {
        let rows = values.len().checked_div(width).unwrap_or(0);
        Self { start: values.as_mut_ptr(), rows, width, borrow: PhantomData }
    }

    /// Values in a row.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// The given columns of a row.
    ///
    /// # Safety
    /// While the slice lives, no other slice that shares a value with it may be asked for.
    ///
    /// # Panics
    /// If the rectangle is outside the matrix.
    #[expect(clippy::mut_from_ref, reason = "the safety contract is what keeps the slices apart")]
    pub(crate) unsafe fn columns(&self, row: usize, columns: Range<usize>) -> &mut [f32] {
        assert!(row < self.rows && columns.start <= columns.end && columns.end <= self.width);
        // SAFETY: inside the borrowed slice by the assertion; unaliased by the caller's promise.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.start.add(row * self.width + columns.start),
                columns.end - columns.start,
            )
        }
    }
}

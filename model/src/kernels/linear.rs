//! Linear layers: activation rows times a packed matrix.
//!
//! Activations are rounded to 8 bits in groups of 32 with a scale each; the products of a group
//! are summed exactly in integers, and the groups in f32, in order. So the only rounding besides
//! the weights' own is that of the activations. [`Precision::F32`] rounds neither.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::disjoint::DisjointRows;
use super::lanes::{self, Lanes};
use super::packed::{GROUP, PackedMatrix, Precision, TILE};
use super::pool::{Pool, share};
use super::{Isa, per_isa};
use crate::Rows;

/// Rows that go through a tile together, so that its weights are read once for all of them.
const BLOCK_ROWS: usize = 8;

/// Activation rows rounded to 8 bits.
#[derive(Debug, Default)]
pub(crate) struct QuantisedRows {
    groups: usize,
    /// (row, group, 32).
    values: Vec<[i8; GROUP]>,
    /// (row, group).
    scales: Vec<f32>,
    /// The sum of a group's values: (row, group).
    sums: Vec<i32>,
}

impl QuantisedRows {
    fn new(isa: Isa, x: &Rows) -> Self {
        let groups = x.width().div_ceil(GROUP);
        let len = x.len() * groups;
        let mut rows = Self {
            groups,
            values: vec![[0; GROUP]; len],
            scales: vec![0.0; len],
            sums: vec![0; len],
        };
        quantise(isa, x, &mut rows);
        rows
    }
}

per_isa! {
    fn quantise(x: &Rows, rows: &mut QuantisedRows) = quantise_body
}

#[inline(always)]
fn quantise_body(x: &Rows, rows: &mut QuantisedRows) {
    for row in 0..x.len() {
        for (group, part) in x.row(row).chunks(GROUP).enumerate() {
            let at = row * rows.groups + group;
            let mut values = [0.0; GROUP];
            values[..part.len()].copy_from_slice(part);
            let mut largest = 0.0_f32;
            for v in values {
                largest = largest.max(v.abs());
            }
            let inverse = if largest == 0.0 { 0.0 } else { 127.0 / largest };
            let (mut quants, mut sum) = ([0; GROUP], 0);
            for (quant, v) in quants.iter_mut().zip(values) {
                #[expect(clippy::cast_possible_truncation, reason = "-127 to 127")]
                let rounded = (v * inverse).round_ties_even() as i32;
                #[expect(clippy::cast_possible_truncation, reason = "-127 to 127")]
                let byte = rounded as i8;
                *quant = byte;
                sum += rounded;
            }
            rows.values[at] = quants;
            rows.scales[at] = largest / 127.0;
            rows.sums[at] = sum;
        }
    }
}

/// `y = x W^T` for each matrix: `x` (rows, inputs) gives (rows, outputs) a matrix.
///
/// The matrices share the rounding of `x` and one turn of the pool.
///
/// # Panics
/// If a matrix has other inputs than `x` has columns.
#[must_use]
pub fn linear<const N: usize>(
    pool: &Pool,
    isa: Isa,
    matrices: [&PackedMatrix; N],
    x: &Rows,
) -> [Rows; N] {
    for matrix in matrices {
        assert_eq!(matrix.inputs, x.width(), "inputs of a matrix and columns of the rows");
    }
    let integers = matrices.iter().any(|m| m.precision != Precision::F32);
    let quantised = if integers { QuantisedRows::new(isa, x) } else { QuantisedRows::default() };
    let mut outputs = matrices.map(|m| Rows::zeros(x.len(), m.outputs));
    let tiles: usize = matrices.iter().map(|m| m.tiles()).sum();
    {
        let views = outputs.each_mut().map(|y| {
            let width = y.width();
            DisjointRows::new(y.values_mut(), width)
        });
        pool.run(&|part| {
            let mut first = 0;
            let own = share(tiles, part, pool.parts());
            for (matrix, y) in matrices.iter().zip(&views) {
                let here = first..first + matrix.tiles();
                for tile in own.start.max(here.start)..own.end.min(here.end) {
                    run_tile(isa, matrix, tile - first, (x, &quantised), y);
                }
                first = here.end;
            }
        });
    }
    outputs
}

/// One tile's outputs for every row.
#[expect(unsafe_code, reason = "writes the columns of this tile, which no other part has")]
fn run_tile(
    isa: Isa,
    matrix: &PackedMatrix,
    tile: usize,
    x: (&Rows, &QuantisedRows),
    y: &DisjointRows<'_>,
) {
    let columns = tile * TILE..matrix.outputs.min((tile + 1) * TILE);
    let rows = x.0.len();
    let mut row = 0;
    while row < rows {
        let count = (rows - row).min(BLOCK_ROWS);
        let mut out = [lanes::splat(0.0); BLOCK_ROWS];
        match matrix.precision {
            Precision::F32 => float_tile(isa, matrix, tile, (x.0, row), &mut out[..count]),
            Precision::Int4 | Precision::Int4Affine | Precision::Int8 => {
                integer_tile(isa, matrix, tile, (x.1, row), &mut out[..count]);
            }
        }
        for (i, lanes) in out[..count].iter().enumerate() {
            // SAFETY: tiles are shared out to parts once each, and tiles do not share columns.
            let target = unsafe { y.columns(row + i, columns.clone()) };
            target.copy_from_slice(&lanes[..target.len()]);
        }
        row += count;
    }
}

per_isa! {
    fn float_tile(m: &PackedMatrix, tile: usize, x: (&Rows, usize), out: &mut [Lanes]) = float_body
}

#[inline(always)]
fn float_body(matrix: &PackedMatrix, tile: usize, (x, first): (&Rows, usize), out: &mut [Lanes]) {
    let weights = &matrix.values[tile * matrix.inputs..][..matrix.inputs];
    for (i, out) in out.iter_mut().enumerate() {
        let mut acc = lanes::splat(0.0);
        for (w, &x) in weights.iter().zip(x.row(first + i)) {
            acc = lanes::fma(w, &lanes::splat(x), &acc);
        }
        *out = acc;
    }
}

/// A tile of integer weights for `out.len()` rows from row `x.1` on.
#[expect(unsafe_code, reason = "calls the copy whose features were detected")]
fn integer_tile(
    isa: Isa,
    m: &PackedMatrix,
    tile: usize,
    x: (&QuantisedRows, usize),
    out: &mut [Lanes],
) {
    match isa.min(Isa::detect()) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: never above what `detect` found.
        Isa::Avx512 => unsafe { avx512::tile(m, tile, x, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { avx2::tile(m, tile, x, out) },
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx512 | Isa::Avx2 => portable::tile(m, tile, x, out),
        Isa::Portable => portable::tile(m, tile, x, out),
    }
}

#[cfg(test)]
pub(crate) mod tests;

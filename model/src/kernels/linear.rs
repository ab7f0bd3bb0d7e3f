//! Linear layers: activation rows times a packed matrix.
//!
//! Activations are rounded to 8 bits in groups of 32 with a scale each; the products of a group
//! are summed exactly in integers, and the groups in f32, in order. So the only rounding besides
//! the weights' own is that of the activations. [`Precision::F32`] rounds neither.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::disjoint::DisjointRows;
use super::lanes::{self, Lanes};
use super::low_rank::{Products, Update};
use super::packed::{PackedMatrix, Precision, TILE};
use super::pool::{Gate, Pool, share};
use super::quantised::{PANEL, PanelGroup, QuantisedRows};
use super::{Isa, per_isa};
use crate::Rows;

/// `y = x W^T` for each matrix, and its updates of some rows: `x` (rows, inputs) gives (rows,
/// outputs) a matrix.
///
/// The matrices share the rounding of `x`, and they and their updates one turn of the pool.
///
/// # Panics
/// If a matrix or an update has other inputs than `x` has columns, or an update other outputs than
/// its matrix.
#[must_use]
#[expect(unsafe_code, reason = "each part adds updates to the columns that it computed")]
pub fn linear<const N: usize>(
    pool: &Pool,
    isa: Isa,
    matrices: [&PackedMatrix; N],
    updates: [&[Update<'_>]; N],
    x: &Rows,
) -> [Rows; N] {
    for matrix in matrices {
        assert_eq!(matrix.inputs, x.width(), "inputs of a matrix and columns of the rows");
    }
    let integers = matrices.iter().any(|m| m.precision != Precision::F32);
    let quantised =
        if integers { QuantisedRows::new(pool, isa, x) } else { QuantisedRows::default() };
    let mut outputs = matrices.map(|m| Rows::unset(x.len(), m.outputs));
    let mut inner = Vec::new();
    let (products, gate) = (Products::new(&updates, x, &mut inner), Gate::new(pool));
    {
        let views = outputs.each_mut().map(|y| {
            let width = y.width();
            DisjointRows::new(y.values_mut(), width)
        });
        pool.run(&|part| {
            let own = own_tiles(&matrices, part, pool.parts());
            if !products.is_empty() {
                products.shrink(isa, (part, pool.parts()), x);
                own.iter().enumerate().for_each(|(m, tiles)| products.fetch_tile(m, tiles.start));
                gate.pass();
            }
            for (m, ((matrix, tiles), y)) in matrices.iter().zip(own).zip(&views).enumerate() {
                for tile in tiles {
                    products.fetch_tile(m, tile + 1);
                    run_tile(isa, matrix, tile, (x, &quantised), y);
                    // SAFETY: all parts have come to the gate, and tiles are shared out once each.
                    unsafe { products.expand(isa, m, tile, y) };
                }
            }
        });
    }
    outputs
}

/// A part's share of all matrices' tiles: of each matrix a range, which may be empty.
fn own_tiles<const N: usize>(
    matrices: &[&PackedMatrix; N],
    part: usize,
    parts: usize,
) -> [Range<usize>; N] {
    let own = share(matrices.iter().map(|m| m.tiles()).sum(), part, parts);
    let mut first = 0;
    matrices.map(|matrix| {
        let last = first + matrix.tiles();
        let (start, end) = (own.start.clamp(first, last), own.end.clamp(first, last));
        let tiles = start - first..end - first;
        first = last;
        tiles
    })
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
        let count = (rows - row).min(PANEL);
        let mut out = [lanes::splat(0.0); PANEL];
        match matrix.precision {
            Precision::F32 => float_tile(isa, matrix, tile, (x.0, row), &mut out[..count]),
            Precision::Int4 | Precision::Int4Affine | Precision::Int8 => {
                integer_tile(isa, matrix, tile, x.1.panel(row / PANEL), &mut out[..count]);
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

/// A tile of integer weights for the first `out.len()` rows of a panel.
#[expect(unsafe_code, reason = "calls the copy whose features were detected")]
fn integer_tile(isa: Isa, m: &PackedMatrix, tile: usize, x: &[PanelGroup], out: &mut [Lanes]) {
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

//! Some tiles of a matrix times some rows of a panel, in the version for the instruction set.

use std::ops::Range;

use super::{TILES, add, portable};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512, vnni};
use crate::kernels::lanes::{self, Lanes};
use crate::kernels::packed::{PackedMatrix, Precision};
use crate::kernels::quantised::{Operand, PANEL, PanelRows};
use crate::kernels::{Isa, per_isa};

/// Some tiles' outputs (tile, row) for some rows of one panel, at most [`TILES`].
pub(in crate::kernels) fn multiply<'a>(
    isa: Isa,
    matrix: &PackedMatrix,
    tiles: Range<usize>,
    (x, rows): (Operand<'_>, Range<usize>),
    out: &'a mut [Lanes; TILES * PANEL],
) -> &'a mut [Lanes] {
    let out = &mut out[..tiles.len() * rows.len()];
    match matrix.precision {
        Precision::F32 => {
            for (tile, out) in tiles.zip(out.chunks_exact_mut(rows.len())) {
                float_tile(isa, matrix, tile, (x, rows.start), out);
            }
        }
        Precision::Int4 | Precision::Int4Affine | Precision::Int8 => {
            integer_tiles(isa, matrix, tiles, (x.rounded(rows.start), rows.len()), out);
        }
    }
    out
}

/// Adds some tiles' outputs, at most [`TILES`], for rows of `x` of one panel to those of the `own`
/// rows in `out` (tile, row), where a tile has `rows` of them.
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calls the copy whose features were detected")
)]
pub(in crate::kernels) fn add_products(
    isa: Isa,
    matrix: &PackedMatrix,
    tiles: Range<usize>,
    x: Operand<'_>,
    (own, rows): (Range<usize>, usize),
    out: &mut [Lanes],
) {
    #[cfg(target_arch = "x86_64")]
    if isa.supported() == Isa::Avx512 && avx512::has_one_group(matrix) {
        // SAFETY: the processor has what is supported.
        return unsafe { avx512::add_one_group(matrix, tiles, x.rounded(0), (own, rows), out) };
    }
    let mut products = [lanes::splat(0.0); TILES * PANEL];
    let products = multiply(isa, matrix, tiles, (x, 0..own.len()), &mut products);
    for (out, products) in out.chunks_exact_mut(rows).zip(products.chunks_exact(own.len())) {
        add(out[own.clone()].as_flattened_mut(), products.as_flattened());
    }
}

per_isa! {
    fn float_tile(
        m: &PackedMatrix,
        tile: usize,
        x: (Operand<'_>, usize),
        out: &mut [Lanes],
    ) = float_body
}

#[inline(always)]
fn float_body(
    matrix: &PackedMatrix,
    tile: usize,
    (x, first): (Operand<'_>, usize),
    out: &mut [Lanes],
) {
    let weights = &matrix.values[tile * matrix.inputs..][..matrix.inputs];
    for (i, out) in out.iter_mut().enumerate() {
        let mut acc = lanes::splat(0.0);
        for (w, &x) in weights.iter().zip(x.row(first + i)) {
            acc = lanes::fma(w, &lanes::splat(x), &acc);
        }
        *out = acc;
    }
}

/// Tiles of integer weights for that many rows: `out` is (tile, row).
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calls the copy whose features were detected")
)]
pub(super) fn integer_tiles(
    isa: Isa,
    m: &PackedMatrix,
    tiles: Range<usize>,
    (x, rows): (PanelRows<'_>, usize),
    out: &mut [Lanes],
) {
    match isa.supported() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has what is supported.
        Isa::Avx512 => unsafe { avx512::tiles(m, tiles, (x, rows), out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::AvxVnni => unsafe { vnni::vex::tiles(m, tiles, (x, rows), out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { avx2::tiles(m, tiles, (x, rows), out) },
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx512 | Isa::AvxVnni | Isa::Avx2 => portable::tiles(m, tiles, (x, rows), out),
        Isa::Portable => portable::tiles(m, tiles, (x, rows), out),
    }
}

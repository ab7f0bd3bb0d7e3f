//! Integer tiles with AVX2.
//!
//! The byte product adds two neighbours and saturates at 16 bits, so that weights meet rows as halves
//! of bytes: a group's products of those fit.

#![expect(unsafe_code, reason = "vector loads and stores through pointers into checked slices")]

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::lanes::Lanes;
use super::super::packed::{GROUP, Line, PackedMatrix, Precision, QUAD, TILE};
use super::super::quantised::{PANEL, PanelGroup, PanelRows};

/// Rows that a line of weights meets in one go: their sums, weights and values fit the sixteen
/// registers.
const BLOCK: usize = 4;
const QUADS: usize = GROUP / QUAD;

/// Sixteen 32-bit numbers, one for each output of a tile; or 32 of 16 bits, two for each.
type Sums = [__m256i; 2];

/// As `portable::tiles`, bit for bit.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn tiles(
    m: &PackedMatrix,
    tiles: Range<usize>,
    (x, rows): (PanelRows<'_>, usize),
    out: &mut [Lanes],
) {
    for (tile, out) in tiles.zip(out.chunks_exact_mut(rows)) {
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let x = PanelRows { first: x.first + block * BLOCK, ..x };
            match out.len() {
                1 => of_rows::<1>(m, tile, x, out),
                2 => of_rows::<2>(m, tile, x, out),
                3 => of_rows::<3>(m, tile, x, out),
                _ => of_rows::<BLOCK>(m, tile, x, out),
            }
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn of_rows<const R: usize>(m: &PackedMatrix, tile: usize, x: PanelRows<'_>, out: &mut [Lanes]) {
    match m.precision {
        Precision::Int8 => accumulate::<R, false>(m, tile, x, out),
        Precision::Int4 | Precision::Int4Affine | Precision::F32 => {
            accumulate::<R, true>(m, tile, x, out);
        }
    }
}

/// `FOUR`: two weights a byte.
#[target_feature(enable = "avx2,fma,f16c")]
fn accumulate<const R: usize, const FOUR: bool>(
    m: &PackedMatrix,
    tile: usize,
    x: PanelRows<'_>,
    out: &mut [Lanes],
) {
    let (first, groups) = (x.first, m.groups());
    let weights = m.tile(tile).chunks(m.precision.lines());
    let scales = &m.scales[tile * groups..][..groups];
    let minima = m.minima.get(tile * groups..).unwrap_or_default();
    let mut acc = [[_mm256_setzero_ps(); 2]; R];
    for (((group, lines), scales), x) in weights.enumerate().zip(scales).zip(x.groups) {
        let dots = dots::<R, FOUR>(lines, x, first, -m.precision.offset());
        add_scaled(&mut acc, &dots, scales, of_block(&x.scales, first));
        if let Some(minima) = minima.get(group) {
            add_minima(&mut acc, minima, of_block(&x.totals, first));
        }
    }
    for (out, acc) in out.iter_mut().zip(acc) {
        for (half, acc) in acc.into_iter().enumerate() {
            // SAFETY: `out` is sixteen f32, two halves of eight, and the store needs no alignment.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(half * 8), acc) };
        }
    }
}

/// What belongs to the rows of a block: as many as the compiler knows of.
#[inline]
fn of_block<const R: usize, T>(values: &[T; PANEL], first: usize) -> &[T; R] {
    let Some(values) = values[first..].first_chunk() else { unreachable!("rows of one panel") };
    values
}

/// Adds dot products times the scales of both sides.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn add_scaled<const R: usize>(
    acc: &mut [[__m256; 2]; R],
    dots: &[Sums; R],
    scales: &[u16; TILE],
    rows: &[f32; R],
) {
    let scales = widen(scales);
    for ((acc, dots), row) in acc.iter_mut().zip(dots).zip(rows) {
        for half in 0..2 {
            let step = _mm256_mul_ps(scales[half], _mm256_set1_ps(*row));
            acc[half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[half]), step, acc[half]);
        }
    }
}

/// Adds the minima times what the values of each row stand for together.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn add_minima<const R: usize>(acc: &mut [[__m256; 2]; R], minima: &[u16; TILE], totals: &[f32; R]) {
    let minima = widen(minima);
    for (acc, total) in acc.iter_mut().zip(totals) {
        for half in 0..2 {
            acc[half] = _mm256_fmadd_ps(minima[half], _mm256_set1_ps(*total), acc[half]);
        }
    }
}

/// The dot products of a group's lines and each row, from that offset times a row's sum on.
#[target_feature(enable = "avx2")]
#[inline]
fn dots<const R: usize, const FOUR: bool>(
    lines: &[Line],
    x: &PanelGroup,
    first: usize,
    offset: i32,
) -> [Sums; R] {
    let mut dots = starts(x, first, offset);
    let mut sums = [[_mm256_setzero_si256(); 2]; R];
    if FOUR {
        // A number of lines that the compiler knows.
        let Some(lines) = lines.first_chunk::<{ QUADS / 2 }>() else {
            unreachable!("groups of four bits are whole")
        };
        multiply::<R, false>(lines, &x.values, first, &mut sums);
        // The high halves are weights for quads half a group later.
        multiply::<R, true>(lines, &x.values[QUADS / 2..], first, &mut sums);
    } else {
        multiply::<R, false>(lines, &x.values, first, &mut sums);
        add(&mut dots, &sums, 1);
        sums = [[_mm256_setzero_si256(); 2]; R];
        multiply::<R, true>(lines, &x.values, first, &mut sums);
    }
    add(&mut dots, &sums, if FOUR { 1 } else { 16 });
    dots
}

#[target_feature(enable = "avx2")]
#[inline]
fn starts<const R: usize>(x: &PanelGroup, first: usize, offset: i32) -> [Sums; R] {
    let mut dots = [[_mm256_setzero_si256(); 2]; R];
    for (dots, sum) in dots.iter_mut().zip(of_block::<R, _>(&x.sums, first)) {
        *dots = [_mm256_set1_epi32(offset * sum); 2];
    }
    dots
}

/// Adds the products of each line's low or `HIGH` half bytes with a quad of each row, in 16 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn multiply<const R: usize, const HIGH: bool>(
    lines: &[Line],
    x: &[[[i8; QUAD]; PANEL]],
    first: usize,
    sums: &mut [Sums; R],
) {
    let low = _mm256_set1_epi8(0x0f);
    for (line, x) in lines.iter().zip(x) {
        let weights = [0, 32].map(|at| {
            // SAFETY: 32 of the 64 bytes of a line, which is aligned to its own size.
            let line = unsafe { _mm256_load_si256(line.0.as_ptr().add(at).cast()) };
            _mm256_and_si256(if HIGH { _mm256_srli_epi16::<4>(line) } else { line }, low)
        });
        for (sums, x) in sums.iter_mut().zip(of_block::<R, _>(x, first)) {
            let x = _mm256_set1_epi32(i32::from_ne_bytes(x.map(i8::cast_unsigned)));
            for half in 0..2 {
                let products = _mm256_maddubs_epi16(weights[half], x);
                sums[half] = _mm256_add_epi16(sums[half], products);
            }
        }
    }
}

/// Adds what 16-bit sums are in units of `unit`.
#[target_feature(enable = "avx2")]
#[inline]
fn add<const R: usize>(dots: &mut [Sums; R], sums: &[Sums; R], unit: i16) {
    let unit = _mm256_set1_epi16(unit);
    for (dots, sums) in dots.iter_mut().zip(sums) {
        for half in 0..2 {
            let sums = _mm256_madd_epi16(sums[half], unit);
            dots[half] = _mm256_add_epi32(dots[half], sums);
        }
    }
}

#[target_feature(enable = "avx,f16c")]
#[inline]
fn widen(half: &[u16; TILE]) -> [__m256; 2] {
    [0, 1].map(|i| {
        // SAFETY: 16 of the 32 bytes, and the load needs no alignment.
        let bits = unsafe { _mm_loadu_si128(half.as_ptr().add(i * 8).cast()) };
        _mm256_cvtph_ps(bits)
    })
}

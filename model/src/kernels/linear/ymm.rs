//! What the versions of integer tiles in 256-bit registers share: the walk over tiles, rows and
//! groups, and all that is done in f32. How a group's products are summed is each version's own.

#![expect(unsafe_code, reason = "vector loads and stores through pointers into checked slices")]

use std::arch::x86_64::*;

use super::super::lanes::Lanes;
use super::super::packed::{GROUP, Line, QUAD, TILE};
use super::super::quantised::{PANEL, PanelGroup};

/// Rows that a line of weights meets in one go: their sums, weights and values fit the sixteen
/// registers.
pub(super) const BLOCK: usize = 4;
/// Quads of a group.
pub(super) const QUADS: usize = GROUP / QUAD;

/// Sixteen 32-bit numbers, one for each output of a tile; or 32 of 16 bits, two for each.
pub(super) type Sums = [__m256i; 2];
/// The same in f32.
pub(super) type Floats = [__m256; 2];

/// Defines `tiles`, compiled with some features, for a version that has
/// `dots::<R, FOUR>(lines, x, first, offset) -> [Sums; R]`.
///
/// A macro, since a function is inlined only where all of its features are.
macro_rules! tiles {
    ($features:literal) => {
        /// As `portable::tiles`, bit for bit.
        #[target_feature(enable = $features)]
        pub(in super::super) fn tiles(
            m: &PackedMatrix,
            tiles: Range<usize>,
            (x, rows): (PanelRows<'_>, usize),
            out: &mut [Lanes],
        ) {
            for (tile, out) in tiles.zip(out.chunks_exact_mut(rows)) {
                for (block, out) in out.chunks_mut(ymm::BLOCK).enumerate() {
                    let x = PanelRows { first: x.first + block * ymm::BLOCK, ..x };
                    match out.len() {
                        1 => of_rows::<1>(m, tile, x, out),
                        2 => of_rows::<2>(m, tile, x, out),
                        3 => of_rows::<3>(m, tile, x, out),
                        _ => of_rows::<{ ymm::BLOCK }>(m, tile, x, out),
                    }
                }
            }
        }

        #[target_feature(enable = $features)]
        fn of_rows<const R: usize>(
            m: &PackedMatrix,
            tile: usize,
            x: PanelRows<'_>,
            out: &mut [Lanes],
        ) {
            match m.precision {
                Precision::Int8 => accumulate::<R, false>(m, tile, x, out),
                Precision::Int4 | Precision::Int4Affine | Precision::F32 => {
                    accumulate::<R, true>(m, tile, x, out);
                }
            }
        }

        /// `FOUR`: two weights a byte.
        #[target_feature(enable = $features)]
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
            let mut acc = ymm::zeros::<R>();
            for (((group, lines), scales), x) in weights.enumerate().zip(scales).zip(x.groups) {
                let dots = dots::<R, FOUR>(lines, x, first, -m.precision.offset());
                ymm::add_scaled(&mut acc, &dots, scales, ymm::of_block(&x.scales, first));
                // Not a parameter of the function: what is called in one place only is inlined.
                if let Some(minima) = minima.get(group) {
                    ymm::add_minima(&mut acc, minima, ymm::of_block(&x.totals, first));
                }
            }
            ymm::store(&acc, out);
        }
    };
}
pub(super) use tiles;

/// What belongs to the rows of a block: as many as the compiler knows of.
#[inline]
pub(super) fn of_block<const R: usize, T>(values: &[T; PANEL], first: usize) -> &[T; R] {
    let Some(values) = values[first..].first_chunk() else { unreachable!("rows of one panel") };
    values
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn zeros<const R: usize>() -> [Floats; R] {
    [[_mm256_setzero_ps(); 2]; R]
}

/// What dot products start from: that offset times the sum of a row's values.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn starts<const R: usize>(x: &PanelGroup, first: usize, offset: i32) -> [Sums; R] {
    let mut dots = [[_mm256_setzero_si256(); 2]; R];
    for (dots, sum) in dots.iter_mut().zip(of_block::<R, _>(&x.sums, first)) {
        *dots = [_mm256_set1_epi32(offset * sum); 2];
    }
    dots
}

/// A line's bytes, those of outputs 0 to 7 and those of outputs 8 to 15.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn bytes(line: &Line) -> [__m256i; 2] {
    [0, 32].map(|at| {
        // SAFETY: 32 of the 64 bytes of a line, which is aligned to its own size.
        unsafe { _mm256_load_si256(line.0.as_ptr().add(at).cast()) }
    })
}

/// The low halves of bytes.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn low(bytes: [__m256i; 2]) -> [__m256i; 2] {
    bytes.map(|bytes| _mm256_and_si256(bytes, _mm256_set1_epi8(0x0f)))
}

/// The high halves of bytes.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn high(bytes: [__m256i; 2]) -> [__m256i; 2] {
    low(bytes.map(|bytes| _mm256_srli_epi16::<4>(bytes)))
}

/// Four inputs of a row, eight times.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn inputs(quad: [i8; QUAD]) -> __m256i {
    _mm256_set1_epi32(i32::from_ne_bytes(quad.map(i8::cast_unsigned)))
}

/// Adds dot products times the scales of both sides.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) fn add_scaled<const R: usize>(
    acc: &mut [Floats; R],
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
pub(super) fn add_minima<const R: usize>(
    acc: &mut [Floats; R],
    minima: &[u16; TILE],
    totals: &[f32; R],
) {
    let minima = widen(minima);
    for (acc, total) in acc.iter_mut().zip(totals) {
        for half in 0..2 {
            acc[half] = _mm256_fmadd_ps(minima[half], _mm256_set1_ps(*total), acc[half]);
        }
    }
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn store<const R: usize>(acc: &[Floats; R], out: &mut [Lanes]) {
    for (out, acc) in out.iter_mut().zip(acc) {
        for (half, acc) in acc.iter().enumerate() {
            // SAFETY: `out` is sixteen f32, two halves of eight, and the store needs no alignment.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(half * 8), *acc) };
        }
    }
}

#[target_feature(enable = "avx,f16c")]
#[inline]
fn widen(half: &[u16; TILE]) -> Floats {
    [0, 1].map(|i| {
        // SAFETY: 16 of the 32 bytes, and the load needs no alignment.
        let bits = unsafe { _mm_loadu_si128(half.as_ptr().add(i * 8).cast()) };
        _mm256_cvtph_ps(bits)
    })
}

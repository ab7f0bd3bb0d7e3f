//! Integer tiles with AVX-512 VNNI: one instruction multiplies 64 weights and adds them in fours.

#![expect(unsafe_code, reason = "vector loads and stores through pointers into checked slices")]

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::avx512::widen;
use super::super::lanes::Lanes;
use super::super::packed::{GROUP, Line, PackedMatrix, Precision, QUAD};
use super::super::quantised::{PANEL, PanelGroup, PanelRows};

/// How far ahead weights are asked for, in lines: much less is slower than not to ask at all, for
/// memory takes as long as some kilobytes take to be multiplied.
const AHEAD: usize = 128;

/// As `portable::tile` for each tile, bit for bit: `out` is (tile, row).
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn tiles(
    m: &PackedMatrix,
    tiles: Range<usize>,
    (x, rows): (PanelRows<'_>, usize),
    out: &mut [Lanes],
) {
    match rows {
        1 => of_rows::<1>(m, tiles, x, out),
        2 => of_rows::<2>(m, tiles, x, out),
        3 => of_rows::<3>(m, tiles, x, out),
        4 => of_rows::<4>(m, tiles, x, out),
        5 => of_rows::<5>(m, tiles, x, out),
        6 => of_rows::<6>(m, tiles, x, out),
        7 => of_rows::<7>(m, tiles, x, out),
        _ => of_rows::<PANEL>(m, tiles, x, out),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn of_rows<const R: usize>(
    m: &PackedMatrix,
    tiles: Range<usize>,
    x: PanelRows<'_>,
    out: &mut [Lanes],
) {
    let out = out.as_chunks_mut::<R>().0;
    for (tile, out) in tiles.zip(out) {
        match m.precision {
            Precision::Int8 => accumulate::<R, false, false>(m, tile, x, out),
            Precision::Int4 => accumulate::<R, true, false>(m, tile, x, out),
            Precision::Int4Affine | Precision::F32 => accumulate::<R, true, true>(m, tile, x, out),
        }
    }
}

/// A loop over at most eight rows, written out: the compiler leaves a loop of this size as it is, and
/// then keeps the rows' sums in memory.
macro_rules! unrolled {
    ($r:ident in 0..$R:ident => $body:block) => {
        unrolled!(@ $r $R $body 0 1 2 3 4 5 6 7)
    };
    (@ $r:ident $R:ident $body:block $($index:literal)*) => {
        $(if $index < $R {
            let $r = $index;
            $body
        })*
    };
}

/// Whether [`add_one_group`] takes the matrix.
pub(super) fn has_one_group(m: &PackedMatrix) -> bool {
    m.precision == Precision::Int8 && m.groups() == 1
}

/// Adds tiles of 8-bit weights of a single group, such as those of a factor B, to the `own` rows of
/// `out` (tile, row), where a tile has `rows` of them: what belongs to a row of `x` stays in
/// registers from tile to tile.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn add_one_group(
    m: &PackedMatrix,
    tiles: Range<usize>,
    x: PanelRows<'_>,
    (own, rows): (Range<usize>, usize),
    out: &mut [Lanes],
) {
    match own.len() {
        1 => add_to_rows::<1>(m, tiles, x, (own.start, rows), out),
        2 => add_to_rows::<2>(m, tiles, x, (own.start, rows), out),
        3 => add_to_rows::<3>(m, tiles, x, (own.start, rows), out),
        4 => add_to_rows::<4>(m, tiles, x, (own.start, rows), out),
        5 => add_to_rows::<5>(m, tiles, x, (own.start, rows), out),
        6 => add_to_rows::<6>(m, tiles, x, (own.start, rows), out),
        7 => add_to_rows::<7>(m, tiles, x, (own.start, rows), out),
        _ => add_to_rows::<PANEL>(m, tiles, x, (own.start, rows), out),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn add_to_rows<const R: usize>(
    m: &PackedMatrix,
    tiles: Range<usize>,
    x: PanelRows<'_>,
    (first, rows): (usize, usize),
    out: &mut [Lanes],
) {
    let (x, count) = (&x.groups[0], m.tile(0).len());
    let weights = m.lines[tiles.start * count..tiles.end * count].chunks_exact(count);
    let offset = -m.precision.offset();
    for ((lines, scale), out) in weights.zip(&m.scales[tiles]).zip(out.chunks_exact_mut(rows)) {
        let out = &mut out[first..first + R];
        let mut dots = [_mm512_setzero_si512(); R];
        unrolled!(r in 0..R => { dots[r] = _mm512_set1_epi32(offset * x.sums[r]); });
        for (i, line) in lines.iter().enumerate() {
            // SAFETY: a line is 64 aligned bytes.
            let line = unsafe { _mm512_load_si512(line.0.as_ptr().cast()) };
            unrolled!(r in 0..R => { dots[r] = _mm512_dpbusd_epi32(dots[r], line, quad(x, i, r)); });
        }
        // SAFETY: sixteen scales.
        let scale = unsafe { widen(scale.as_ptr()) };
        unrolled!(r in 0..R => {
            let step = _mm512_mul_ps(scale, _mm512_set1_ps(x.scales[r]));
            // As `accumulate` from 0 on, where a product of -0 becomes 0.
            let dots = _mm512_cvtepi32_ps(dots[r]);
            let product = _mm512_fmadd_ps(dots, step, _mm512_setzero_ps());
            let out = out[r].as_mut_ptr();
            // SAFETY: sixteen f32, and neither needs alignment.
            unsafe { _mm512_storeu_ps(out, _mm512_add_ps(_mm512_loadu_ps(out), product)) };
        });
    }
}

/// `FOUR`: two weights a byte; `AFFINE`: groups have minima.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn accumulate<const R: usize, const FOUR: bool, const AFFINE: bool>(
    m: &PackedMatrix,
    tile: usize,
    x: PanelRows<'_>,
    out: &mut [Lanes; R],
) {
    let groups = m.groups();
    let weights = m.tile(tile).chunks(m.precision.lines());
    let first = x.first;
    assert!(first + R <= PANEL, "rows of one panel");
    let scales = &m.scales[tile * groups..][..groups];
    let minima = if AFFINE { &m.minima[tile * groups..][..groups] } else { &[] };
    let low = _mm512_set1_epi8(0x0f);
    let offset = -m.precision.offset();
    let mut acc = [_mm512_setzero_ps(); R];
    for (((group, lines), scale), x) in weights.enumerate().zip(scales).zip(x.groups) {
        let mut dots = [_mm512_setzero_si512(); R];
        if !AFFINE {
            unrolled!(r in 0..R => { dots[r] = _mm512_set1_epi32(offset * x.sums[first + r]); });
        }
        // Each line of weights meets all rows in turn, for a sum has to wait for the product that was
        // added to it before.
        for (i, line) in lines.iter().enumerate() {
            ask_ahead_of(line);
            // SAFETY: a line is 64 aligned bytes.
            let line = unsafe { _mm512_load_si512(line.0.as_ptr().cast()) };
            let weights = if FOUR { _mm512_and_si512(line, low) } else { line };
            unrolled!(r in 0..R => {
                dots[r] = _mm512_dpbusd_epi32(dots[r], weights, quad(x, i, first + r));
            });
            if FOUR {
                let weights = _mm512_and_si512(_mm512_srli_epi16::<4>(line), low);
                let i = i + GROUP / QUAD / 2;
                unrolled!(r in 0..R => {
                    dots[r] = _mm512_dpbusd_epi32(dots[r], weights, quad(x, i, first + r));
                });
            }
        }
        // SAFETY: sixteen scales.
        let scale = unsafe { widen(scale.as_ptr()) };
        unrolled!(r in 0..R => {
            let step = _mm512_mul_ps(scale, _mm512_set1_ps(x.scales[first + r]));
            acc[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[r]), step, acc[r]);
        });
        if AFFINE {
            // SAFETY: sixteen minima.
            let minima = unsafe { widen(minima[group].as_ptr()) };
            unrolled!(r in 0..R => {
                acc[r] = _mm512_fmadd_ps(minima, _mm512_set1_ps(x.totals[first + r]), acc[r]);
            });
        }
    }
    for (out, acc) in out.iter_mut().zip(acc) {
        // SAFETY: `out` is sixteen f32, and the store needs no alignment.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), acc) };
    }
}

/// Asks for the line that lies [`AHEAD`] after this one to be brought into the second cache.
#[inline(always)]
fn ask_ahead_of(line: &Line) {
    let line: *const Line = line;
    // SAFETY: a hint, which may point anywhere; it reads nothing.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(line.wrapping_add(AHEAD).cast()) };
}

/// Four inputs of a row, sixteen times.
#[target_feature(enable = "avx512f")]
#[inline]
fn quad(x: &PanelGroup, quad: usize, row: usize) -> __m512i {
    _mm512_set1_epi32(i32::from_ne_bytes(x.values[quad][row].map(i8::cast_unsigned)))
}

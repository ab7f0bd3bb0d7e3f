//! Integer tiles with AVX-512 VNNI: one instruction multiplies 64 weights and adds them in fours.

#![expect(unsafe_code, reason = "vector loads and stores through pointers into checked slices")]

use std::arch::x86_64::*;

use super::super::avx512::widen;
use super::super::lanes::Lanes;
use super::super::packed::{GROUP, Line, PackedMatrix, Precision, QUAD};
use super::super::quantised::QuantisedRows;
use super::BLOCK_ROWS;

/// Lines of 8-bit weights in a group.
const QUADS: usize = GROUP / QUAD;

/// As `portable::tile`, bit for bit.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn tile(m: &PackedMatrix, tile: usize, x: (&QuantisedRows, usize), out: &mut [Lanes]) {
    match out.len() {
        1 => rows::<1>(m, tile, x, out),
        2 => rows::<2>(m, tile, x, out),
        3 => rows::<3>(m, tile, x, out),
        4 => rows::<4>(m, tile, x, out),
        5 => rows::<5>(m, tile, x, out),
        6 => rows::<6>(m, tile, x, out),
        7 => rows::<7>(m, tile, x, out),
        _ => rows::<BLOCK_ROWS>(m, tile, x, out),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn rows<const R: usize>(
    m: &PackedMatrix,
    tile: usize,
    x: (&QuantisedRows, usize),
    out: &mut [Lanes],
) {
    match m.precision {
        Precision::Int8 => accumulate::<R, false, false>(m, tile, x, out),
        Precision::Int4 => accumulate::<R, true, false>(m, tile, x, out),
        Precision::Int4Affine | Precision::F32 => accumulate::<R, true, true>(m, tile, x, out),
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

/// `FOUR`: two weights a byte; `AFFINE`: groups have minima.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn accumulate<const R: usize, const FOUR: bool, const AFFINE: bool>(
    m: &PackedMatrix,
    tile: usize,
    (x, first): (&QuantisedRows, usize),
    out: &mut [Lanes],
) {
    let (groups, lines) = (m.groups(), m.precision.lines());
    let weights = &m.lines[tile * groups * lines..][..groups * lines];
    let scales = &m.scales[tile * groups..][..groups];
    let minima = if AFFINE { &m.minima[tile * groups..][..groups] } else { &[] };
    let first = first * groups;
    assert!(x.values.len() >= first + R * groups, "the rows are there");
    assert!(x.scales.len() >= first + R * groups && x.sums.len() >= first + R * groups);
    let offset = -m.precision.offset();
    let mut acc = [_mm512_setzero_ps(); R];
    for group in 0..groups {
        let quads = unpack::<FOUR>(&weights[group * lines..][..lines]);
        // SAFETY: sixteen scales.
        let scale = unsafe { widen(scales[group].as_ptr()) };
        unrolled!(r in 0..R => {
            let at = first + r * groups + group;
            // SAFETY: at < first + R * groups, which was checked above.
            let (values, x_scale, sum) = unsafe {
                (x.values.as_ptr().add(at), *x.scales.as_ptr().add(at), *x.sums.as_ptr().add(at))
            };
            let start = if AFFINE { 0 } else { offset * sum };
            let mut dots = _mm512_set1_epi32(start);
            for (quad, line) in quads.iter().enumerate() {
                // SAFETY: quad < 8, so the four bytes are inside the 32 of the group.
                let bytes = unsafe { values.cast::<i32>().add(quad).read_unaligned() };
                dots = _mm512_dpbusd_epi32(dots, *line, _mm512_set1_epi32(bytes));
            }
            let step = _mm512_mul_ps(scale, _mm512_set1_ps(x_scale));
            acc[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), step, acc[r]);
            if AFFINE {
                #[expect(clippy::cast_precision_loss, reason = "at most 32 * 127")]
                let total = _mm512_set1_ps(sum as f32 * x_scale);
                // SAFETY: sixteen minima.
                let minima = unsafe { widen(minima[group].as_ptr()) };
                acc[r] = _mm512_fmadd_ps(minima, total, acc[r]);
            }
        });
    }
    for (out, acc) in out.iter_mut().zip(acc) {
        // SAFETY: `out` is sixteen f32, and the store needs no alignment.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), acc) };
    }
}

/// The eight lines of 8-bit weights of a group.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn unpack<const FOUR: bool>(lines: &[Line]) -> [__m512i; QUADS] {
    let load = |line: &Line| {
        // SAFETY: a line is 64 aligned bytes.
        unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
    };
    let mut quads = [_mm512_setzero_si512(); QUADS];
    if FOUR {
        let low = _mm512_set1_epi8(0x0f);
        for i in 0..QUADS / 2 {
            let line = load(&lines[i]);
            quads[i] = _mm512_and_si512(line, low);
            quads[i + QUADS / 2] = _mm512_and_si512(_mm512_srli_epi16::<4>(line), low);
        }
    } else {
        for (quad, line) in quads.iter_mut().zip(lines) {
            *quad = load(line);
        }
    }
    quads
}

//! Integer tiles with AVX2: bytes are widened to 16 bits, since the byte product saturates.

#![expect(unsafe_code, reason = "vector loads and stores through pointers into checked slices")]

use std::arch::x86_64::*;

use super::super::lanes::Lanes;
use super::super::packed::{GROUP, Line, PackedMatrix, Precision, QUAD};
use super::super::quantised::{PanelGroup, PanelRows};

const QUADS: usize = GROUP / QUAD;

/// As `portable::tile`, bit for bit.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn tile(m: &PackedMatrix, tile: usize, x: PanelRows<'_>, out: &mut [Lanes]) {
    let affine = m.precision == Precision::Int4Affine;
    for (row, out) in (x.first..).zip(out) {
        let mut acc = [_mm256_setzero_ps(); 2];
        for (group, x) in x.groups.iter().enumerate() {
            let weights = tile * m.groups() + group;
            let dots = dots(m, m.group(tile, group), x, row);
            let scale = widen(&m.scales[weights]);
            for half in 0..2 {
                let step = _mm256_mul_ps(scale[half], _mm256_set1_ps(x.scales[row]));
                acc[half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[half]), step, acc[half]);
            }
            if affine {
                let minima = widen(&m.minima[weights]);
                let total = _mm256_set1_ps(x.totals[row]);
                for half in 0..2 {
                    acc[half] = _mm256_fmadd_ps(minima[half], total, acc[half]);
                }
            }
        }
        for (half, acc) in acc.into_iter().enumerate() {
            // SAFETY: `out` is sixteen f32: two halves of eight.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(half * 8), acc) };
        }
    }
}

/// Sixteen dot products of a group and a row, outputs in order.
#[target_feature(enable = "avx2")]
#[inline]
fn dots(m: &PackedMatrix, lines: &[Line], x: &PanelGroup, row: usize) -> [__m256i; 2] {
    // Four outputs a register, two partial sums each.
    let mut partial = [_mm256_setzero_si256(); 4];
    let low = _mm_set1_epi8(0x0f);
    let four = m.precision.lines() < QUADS;
    for quad in 0..if four { QUADS } else { lines.len() } {
        let bytes = i32::from_ne_bytes(x.values[quad][row].map(i8::cast_unsigned));
        let x = _mm256_cvtepi8_epi16(_mm_set1_epi32(bytes));
        let line = &lines[quad % lines.len()].0;
        for (i, partial) in partial.iter_mut().enumerate() {
            // SAFETY: i < 4, so the sixteen bytes are inside the line.
            let mut w = unsafe { _mm_loadu_si128(line.as_ptr().add(i * 16).cast()) };
            if four {
                w = if quad < lines.len() { w } else { _mm_srli_epi16::<4>(w) };
                w = _mm_and_si128(w, low);
            }
            *partial = _mm256_add_epi32(*partial, _mm256_madd_epi16(_mm256_cvtepu8_epi16(w), x));
        }
    }
    let start = _mm256_set1_epi32(-m.precision.offset() * x.sums[row]);
    let join = |a, b| {
        // `hadd` works in 128-bit halves: a01 b01 a23 b23; put the pairs in order.
        let sums = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(a, b));
        _mm256_add_epi32(sums, start)
    };
    [join(partial[0], partial[1]), join(partial[2], partial[3])]
}

#[target_feature(enable = "avx,f16c")]
#[inline]
fn widen(half: &[u16; 16]) -> [__m256; 2] {
    [0, 1].map(|i| {
        // SAFETY: 16 of the 32 bytes, and the load needs no alignment.
        let bits = unsafe { _mm_loadu_si128(half.as_ptr().add(i * 8).cast()) };
        _mm256_cvtph_ps(bits)
    })
}

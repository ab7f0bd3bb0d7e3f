//! Low-rank products with AVX-512, as `portable`, bit for bit.

#![expect(unsafe_code, reason = "vector loads and stores through pointers into checked slices")]

use std::arch::x86_64::*;

use super::super::avx512::widen;
use super::super::lanes::{self, LANES};
use super::{AHEAD, padded, portable};

/// As `portable::dots`: row after row, for memory is fastest when it is read in order.
#[target_feature(enable = "avx512f")]
pub(super) fn dots(a: &[u16], x: &[f32], out: &mut [f32]) {
    for (out, a) in out.iter_mut().zip(a.chunks_exact(x.len().max(1))) {
        *out = dot(a, x);
    }
}

#[target_feature(enable = "avx512f")]
fn dot(a: &[u16], x: &[f32]) -> f32 {
    let whole = x.len().min(a.len()) / LANES * LANES;
    let mut acc = _mm512_setzero_ps();
    for at in (0..whole).step_by(LANES) {
        // A hint, which reads nothing.
        _mm_prefetch::<_MM_HINT_T0>(a.as_ptr().wrapping_add(at + AHEAD).cast());
        // SAFETY: sixteen values from `at` on are inside both slices.
        acc = unsafe {
            _mm512_fmadd_ps(widen(a.as_ptr().add(at)), _mm512_loadu_ps(x.as_ptr().add(at)), acc)
        };
    }
    if whole < x.len() {
        let (a, x) = (padded(a, whole), padded(x, whole));
        // SAFETY: both are sixteen values.
        acc = unsafe { _mm512_fmadd_ps(widen(a.as_ptr()), _mm512_loadu_ps(x.as_ptr()), acc) };
    }
    let mut sums = lanes::splat(0.0);
    // SAFETY: sixteen values.
    unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), acc) };
    lanes::sum(&sums)
}

/// As `portable::add_scaled`.
#[target_feature(enable = "avx512f")]
pub(super) fn add_scaled(t: &[f32], b: &[u16], y: &mut [f32]) {
    let (tiles, tail) = y.as_chunks_mut::<LANES>();
    let width = t.len() * LANES;
    assert!(b.len() >= tiles.len() * width, "a tile of b for each sixteen outputs");
    for (tile, y) in tiles.iter_mut().enumerate() {
        // SAFETY: sixteen values of `y`, and of `b` for each rank: its tile is inside by the
        // assertion.
        unsafe {
            let b = b.as_ptr().add(tile * width);
            let mut acc = _mm512_loadu_ps(y.as_ptr());
            for (rank, t) in t.iter().enumerate() {
                acc = _mm512_fmadd_ps(_mm512_set1_ps(*t), widen(b.add(rank * LANES)), acc);
            }
            _mm512_storeu_ps(y.as_mut_ptr(), acc);
        }
    }
    portable::add_scaled(t, &b[tiles.len() * width..], tail);
}

//! Low-rank products with AVX2, as `portable`, bit for bit: sixteen lanes are two registers.

#![expect(unsafe_code, reason = "vector loads and stores through pointers into checked slices")]

use std::arch::x86_64::*;

use super::super::lanes::{self, LANES};
use super::{padded, portable};

const HALF: usize = LANES / 2;

/// As `portable::dots`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn dots(a: &[u16], x: &[f32], out: &mut [f32]) {
    for (out, a) in out.iter_mut().zip(a.chunks_exact(x.len().max(1))) {
        *out = dot(a, x);
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn dot(a: &[u16], x: &[f32]) -> f32 {
    let whole = x.len().min(a.len()) / LANES * LANES;
    let mut acc = [_mm256_setzero_ps(); 2];
    for at in (0..whole).step_by(LANES) {
        // SAFETY: sixteen values from `at` on are inside both slices.
        unsafe { multiply(a.as_ptr().add(at), x.as_ptr().add(at), &mut acc) };
    }
    if whole < x.len() {
        let (a, x) = (padded(a, whole), padded(x, whole));
        // SAFETY: both are sixteen values.
        unsafe { multiply(a.as_ptr(), x.as_ptr(), &mut acc) };
    }
    let mut sums = lanes::splat(0.0);
    for (i, acc) in acc.into_iter().enumerate() {
        // SAFETY: eight of sixteen values.
        unsafe { _mm256_storeu_ps(sums.as_mut_ptr().add(i * HALF), acc) };
    }
    lanes::sum(&sums)
}

/// As `portable::add_scaled`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn add_scaled(t: &[f32], b: &[u16], y: &mut [f32]) {
    let tile = t.len() * LANES;
    let whole = y.len() / LANES;
    assert!(b.len() >= whole * tile, "outputs of b for each rank");
    for at in (0..whole * LANES).step_by(HALF) {
        let first = at / LANES * tile + at % LANES;
        // SAFETY: eight values from `at` on are inside `y` and each rank of `b`'s tile.
        unsafe {
            let mut acc = _mm256_loadu_ps(y.as_ptr().add(at));
            for (rank, t) in t.iter().enumerate() {
                let b = widen(b.as_ptr().add(first + rank * LANES));
                acc = _mm256_fmadd_ps(_mm256_set1_ps(*t), b, acc);
            }
            _mm256_storeu_ps(y.as_mut_ptr().add(at), acc);
        }
    }
    portable::add_scaled(t, &b[whole * tile..], &mut y[whole * LANES..]);
}

/// Adds sixteen products to the running sums.
///
/// # Safety
/// Sixteen values can be read from `a` and from `x` on.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn multiply(a: *const u16, x: *const f32, acc: &mut [__m256; 2]) {
    for (i, acc) in acc.iter_mut().enumerate() {
        // SAFETY: the caller's promise; eight values each.
        *acc = unsafe {
            _mm256_fmadd_ps(widen(a.add(i * HALF)), _mm256_loadu_ps(x.add(i * HALF)), *acc)
        };
    }
}

/// Eight halves as floats.
///
/// # Safety
/// Eight values can be read from `half` on.
#[target_feature(enable = "avx2,f16c")]
#[inline]
unsafe fn widen(half: *const u16) -> __m256 {
    // SAFETY: the caller's promise.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(half.cast()) })
}

//! What the AVX-512 kernels share.

#![expect(unsafe_code, reason = "a vector load through a pointer")]

use std::arch::x86_64::*;

/// Sixteen halves as floats.
///
/// # Safety
/// Sixteen values can be read from `half` on.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) unsafe fn widen(half: *const u16) -> __m512 {
    // SAFETY: the caller's promise; the load needs no alignment.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(half.cast()) })
}

//! The product in AVX-512's brain float instructions.
#![expect(unsafe_code, reason = "vector intrinsics; lengths are asserted")]

use std::arch::x86_64::{
    __m256bh, __m512, __m512bh, __m512i, _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
};
use std::mem::transmute;

use half::bf16;

use super::{PANEL, TILE};

/// A loop over the tile's rows, written out: in a loop the compiler keeps the sums in memory.
macro_rules! each_row {
    ($row:ident => $body:block) => {
        each_row!(@ $row $body 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    (@ $row:ident $body:block $($index:literal)*) => {
        $({
            const _: () = assert!($index < TILE);
            let $row = $index;
            $body
        })*
    };
}

/// A tile of rows (TILE, inputs) times a panel (inputs / 2, PANEL, 2): `out` is (TILE, PANEL).
///
/// # Safety
/// The processor must have `avx512f` and `avx512bf16`.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn product(rows: &[bf16], panel: &[bf16], out: &mut [f32]) {
    let inputs = rows.len() / TILE;
    let pairs = inputs / 2;
    assert!(rows.len() == TILE * pairs * 2 && panel.len() == pairs * 2 * PANEL);
    assert!(out.len() == TILE * PANEL);
    let mut sums = [[_mm512_setzero_ps(); 2]; TILE];
    let (rows, panel) = (rows.as_ptr(), panel.as_ptr());
    for pair in 0..pairs {
        // SAFETY: `pair` is below `pairs`, and the lengths above were asserted.
        let weights = unsafe {
            let at = panel.add(pair * 2 * PANEL);
            [load(at), load(at.add(PANEL))]
        };
        each_row!(row => {
            // SAFETY: as above; a pair of values is four bytes, read without alignment.
            let x = unsafe {
                let at = rows.add(row * inputs + pair * 2).cast::<i32>();
                transmute::<__m512i, __m512bh>(_mm512_set1_epi32(at.read_unaligned()))
            };
            sums[row][0] = _mm512_dpbf16_ps(sums[row][0], x, weights[0]);
            sums[row][1] = _mm512_dpbf16_ps(sums[row][1], x, weights[1]);
        });
    }
    for (out, sums) in out.chunks_exact_mut(PANEL).zip(sums) {
        store(&mut out[..16], sums[0]);
        store(&mut out[16..], sums[1]);
    }
}

/// Sixteen pairs.
///
/// # Safety
/// 32 values can be read at `at`.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn load(at: *const bf16) -> __m512bh {
    // SAFETY: by the caller; both types are 64 plain bytes.
    unsafe { transmute::<__m512i, __m512bh>(_mm512_loadu_si512(at.cast())) }
}

#[target_feature(enable = "avx512f")]
fn store(out: &mut [f32], values: __m512) {
    assert!(out.len() == 16);
    // SAFETY: there is room for sixteen values.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), values) }
}

/// Rounds values to the nearest brain floats; subnormal ones become 0.
///
/// # Safety
/// The processor must have `avx512f` and `avx512bf16`.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn round(x: &[f32], out: &mut [bf16]) {
    let (x, x_tail) = x.as_chunks::<16>();
    let (out, out_tail) = out.as_chunks_mut::<16>();
    for (x, out) in x.iter().zip(out) {
        // SAFETY: sixteen values are read and sixteen written; the types are plain bytes.
        unsafe {
            let rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(x.as_ptr()));
            *out = transmute::<__m256bh, [bf16; 16]>(rounded);
        }
    }
    for (x, out) in x_tail.iter().zip(out_tail) {
        *out = bf16::from_f32(*x);
    }
}

//! Scores and weighted values with AVX-512, as the portable ones, bit for bit: the same sums in the
//! same order, but enough of them at a time that none waits for the one before.

#![expect(unsafe_code, reason = "vector loads and stores through pointers into checked slices")]

use std::arch::x86_64::*;

use super::super::avx512::widen;
use super::super::lanes::{LANES, Lanes};
use super::Past;

/// Blocks, or registers of a head's width, whose sums are kept in registers at a time.
const TOGETHER: usize = 4;

/// As `raw_scores`.
#[target_feature(enable = "avx512f")]
pub(super) fn raw_scores<const G: usize>(past: Past<'_>, q: &[f32], scores: &mut [Lanes]) {
    let count = past.blocks().len();
    let mut first = 0;
    while first < count {
        match count - first {
            1 => some_scores::<G, 1>(past, q, scores, first),
            2 => some_scores::<G, 2>(past, q, scores, first),
            3 => some_scores::<G, 3>(past, q, scores, first),
            _ => some_scores::<G, TOGETHER>(past, q, scores, first),
        }
        first += TOGETHER;
    }
}

/// The scores of `B` blocks from `first` on.
#[target_feature(enable = "avx512f")]
fn some_scores<const G: usize, const B: usize>(
    past: Past<'_>,
    q: &[f32],
    scores: &mut [Lanes],
    first: usize,
) {
    let (dim, blocks) = (q.len() / G, past.blocks());
    let mut keys = [std::ptr::null(); B];
    for (keys, block) in keys.iter_mut().zip(&blocks[first..first + B]) {
        let block = past.cache.keys(past.layer, *block as usize, past.kv_head);
        assert!(block.len() >= dim * LANES, "keys of a whole head");
        *keys = block.as_ptr();
    }
    let mut ahead = keys;
    for (ahead, block) in ahead.iter_mut().zip(blocks.get(first + B..).unwrap_or_default()) {
        *ahead = past.cache.keys(past.layer, *block as usize, past.kv_head).as_ptr();
    }
    let mut sums = [[_mm512_setzero_ps(); B]; G];
    for d in 0..dim {
        if d % 2 == 0 {
            for ahead in ahead {
                // SAFETY: d < dim, so it is inside the block; and nothing is read.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead.add(d * LANES).cast()) };
            }
        }
        let mut k = [_mm512_setzero_ps(); B];
        for (k, keys) in k.iter_mut().zip(keys) {
            // SAFETY: d < dim, so the sixteen halves are inside the block.
            *k = unsafe { widen(keys.add(d * LANES)) };
        }
        for (g, sums) in sums.iter_mut().enumerate() {
            let q = _mm512_set1_ps(q[g * dim + d]);
            for (sum, k) in sums.iter_mut().zip(k) {
                *sum = _mm512_fmadd_ps(q, k, *sum);
            }
        }
    }
    let scale = _mm512_set1_ps(super::scale(dim));
    for (g, sums) in sums.into_iter().enumerate() {
        for (b, sum) in sums.into_iter().enumerate() {
            let target = &mut scores[g * blocks.len() + first + b];
            // SAFETY: sixteen values.
            unsafe { _mm512_storeu_ps(target.as_mut_ptr(), _mm512_mul_ps(sum, scale)) };
        }
    }
}

/// As `weighted_values`.
#[target_feature(enable = "avx512f")]
pub(super) fn weighted_values<const G: usize>(past: Past<'_>, scores: &[Lanes], out: &mut [f32]) {
    let registers = out.len() / G / LANES;
    let mut first = 0;
    while first < registers {
        match registers - first {
            1 => some_values::<G, 1>(past, scores, out, first),
            2 => some_values::<G, 2>(past, scores, out, first),
            3 => some_values::<G, 3>(past, scores, out, first),
            _ => some_values::<G, TOGETHER>(past, scores, out, first),
        }
        first += TOGETHER;
    }
}

/// `C` registers of the head's width from `first` on.
#[target_feature(enable = "avx512f")]
fn some_values<const G: usize, const C: usize>(
    past: Past<'_>,
    scores: &[Lanes],
    out: &mut [f32],
    first: usize,
) {
    let (dim, blocks) = (out.len() / G, past.blocks());
    let mut sums = [[_mm512_setzero_ps(); C]; G];
    for (b, &block) in blocks.iter().enumerate() {
        let values = past.cache.values(past.layer, block as usize, past.kv_head);
        assert!(dim >= (first + C) * LANES, "values of a whole head");
        let ahead = blocks.get(b + 2).map_or(block, |ahead| *ahead);
        let ahead = past.cache.values(past.layer, ahead as usize, past.kv_head).chunks_exact(dim);
        let tokens = values.chunks_exact(dim).zip(ahead).take(past.tokens_in(b));
        for (token, (values, ahead)) in tokens.enumerate() {
            for line in 0..C / 2 {
                // SAFETY: inside the token's row; and nothing is read.
                let line = unsafe { ahead.as_ptr().add((first + 2 * line) * LANES) };
                _mm_prefetch::<_MM_HINT_T0>(line.cast());
            }
            let mut v = [_mm512_setzero_ps(); C];
            for (c, v) in v.iter_mut().enumerate() {
                // SAFETY: the sixteen halves are inside the token's row.
                *v = unsafe { widen(values.as_ptr().add((first + c) * LANES)) };
            }
            for (g, sums) in sums.iter_mut().enumerate() {
                let weight = _mm512_set1_ps(scores[g * blocks.len() + b][token]);
                for (sum, v) in sums.iter_mut().zip(v) {
                    *sum = _mm512_fmadd_ps(weight, v, *sum);
                }
            }
        }
    }
    for (g, sums) in sums.into_iter().enumerate() {
        let out = &mut out[g * dim + first * LANES..][..C * LANES];
        for (out, sum) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
            // SAFETY: sixteen values.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
        }
    }
}

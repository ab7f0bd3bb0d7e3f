//! The reference, in safe Rust.

use super::super::lanes::{self, LANES};
use super::padded;

/// The dot products of rows of half-precision `a` and `x`.
pub(super) fn dots(a: &[u16], x: &[f32], out: &mut [f32]) {
    for (out, a) in out.iter_mut().zip(a.chunks_exact(x.len().max(1))) {
        *out = dot(a, x);
    }
}

/// Sixteen running sums that are added at the end.
fn dot(a: &[u16], x: &[f32]) -> f32 {
    let mut acc = lanes::splat(0.0);
    for at in (0..x.len()).step_by(LANES) {
        acc = lanes::fma(&lanes::widen(&padded(a, at)), &padded(x, at), &acc);
    }
    lanes::sum(&acc)
}

/// `y += sum over ranks of t * b`, rank by rank: `b` has (ranks, 16) for each sixteen outputs.
pub(super) fn add_scaled(t: &[f32], b: &[u16], y: &mut [f32]) {
    for (y, b) in y.chunks_mut(LANES).zip(b.chunks(t.len().max(1) * LANES)) {
        let mut acc = padded(y, 0);
        for (t, b) in t.iter().zip(b.as_chunks::<LANES>().0) {
            acc = lanes::fma(&lanes::splat(*t), &lanes::widen(b), &acc);
        }
        y.copy_from_slice(&acc[..y.len()]);
    }
}

//! The reference, in safe Rust.

use super::super::lanes::{self, LANES};
use super::padded;

/// The dot product of half-precision `a` and `x`, sixteen running sums that are added at the end.
pub(super) fn dot(a: &[u16], x: &[f32]) -> f32 {
    let mut acc = lanes::splat(0.0);
    for at in (0..x.len()).step_by(LANES) {
        acc = lanes::fma(&lanes::widen(&padded(a, at)), &padded(x, at), &acc);
    }
    lanes::sum(&acc)
}

/// `y += sum over ranks of t * b`, rank by rank: `b` (ranks, outputs) in half precision.
pub(super) fn add_scaled(t: &[f32], b: &[u16], y: &mut [f32]) {
    for at in (0..y.len()).step_by(LANES) {
        tail(t, b, y, at);
    }
}

/// Up to sixteen outputs from `at` on.
pub(super) fn tail(t: &[f32], b: &[u16], y: &mut [f32], at: usize) {
    let outputs = y.len();
    let mut acc = padded(y, at);
    for (rank, t) in t.iter().enumerate() {
        let b = padded(&b[rank * outputs..][..outputs], at);
        acc = lanes::fma(&lanes::splat(*t), &lanes::widen(&b), &acc);
    }
    let count = LANES.min(outputs - at);
    y[at..at + count].copy_from_slice(&acc[..count]);
}

//! The reference for integer tiles, in safe Rust.

use super::super::lanes::{self, Lanes};
use super::super::packed::{GROUP, PackedMatrix, Precision, TILE};
use super::super::quantised::QuantisedRows;

/// One tile for `out.len()` rows from row `x.1` on.
///
/// Per group: `sum += float(dot(q - offset, x)) * (scale_w * scale_x)`, then, if the weights have
/// minima, `sum += float(sum of x) * scale_x * minimum`.
pub(super) fn tile(m: &PackedMatrix, tile: usize, x: (&QuantisedRows, usize), out: &mut [Lanes]) {
    let groups = m.groups();
    for (i, out) in out.iter_mut().enumerate() {
        let mut acc = lanes::splat(0.0);
        for group in 0..groups {
            let at = (x.1 + i) * groups + group;
            let (values, scale, sum) = (&x.0.values[at], x.0.scales[at], x.0.sums[at]);
            let weights = tile * groups + group;
            let dots = dots(m, weights, values, -m.precision.offset() * sum);
            let scales = lanes::widen(&m.scales[weights]).map(|w| w * scale);
            acc = lanes::fma(&dots, &scales, &acc);
            if m.precision == Precision::Int4Affine {
                acc = add_minima(&lanes::widen(&m.minima[weights]), scale, sum, &acc);
            }
        }
        *out = acc;
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^24")]
fn dots(m: &PackedMatrix, weights: usize, values: &[i8; GROUP], start: i32) -> Lanes {
    let mut dots = [start; TILE];
    for (lane, dot) in dots.iter_mut().enumerate() {
        for (input, &x) in values.iter().enumerate() {
            *dot += i32::from(m.quant(weights, lane, input)) * i32::from(x);
        }
    }
    dots.map(|d| d as f32)
}

#[expect(clippy::cast_precision_loss, reason = "at most 32 * 127")]
fn add_minima(minima: &Lanes, scale: f32, sum: i32, acc: &Lanes) -> Lanes {
    lanes::fma(minima, &lanes::splat(sum as f32 * scale), acc)
}

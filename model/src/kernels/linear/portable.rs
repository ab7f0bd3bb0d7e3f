//! The reference for integer tiles, in safe Rust.

use super::super::lanes::{self, Lanes};
use super::super::packed::{GROUP, PackedMatrix, Precision, TILE};
use super::super::quantised::{PanelGroup, PanelRows};

/// One tile for the first `out.len()` rows of `x`.
///
/// Per group: `sum += float(dot(q - offset, x)) * (scale_w * scale_x)`, then, if the weights have
/// minima, `sum += float(sum of x) * scale_x * minimum`.
pub(super) fn tile(m: &PackedMatrix, tile: usize, x: PanelRows<'_>, out: &mut [Lanes]) {
    for (row, out) in (x.first..).zip(out) {
        let mut acc = lanes::splat(0.0);
        for (group, x) in x.groups.iter().enumerate() {
            let weights = tile * m.groups() + group;
            let scales = lanes::scale(&lanes::widen(&m.scales[weights]), x.scales[row]);
            acc = lanes::fma(&dots(m, (tile, group), x, row), &scales, &acc);
            if m.precision == Precision::Int4Affine {
                let minima = lanes::widen(&m.minima[weights]);
                acc = lanes::fma(&minima, &lanes::splat(x.totals[row]), &acc);
            }
        }
        *out = acc;
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^24")]
fn dots(m: &PackedMatrix, at: (usize, usize), x: &PanelGroup, row: usize) -> Lanes {
    let mut dots = [-m.precision.offset() * x.sums[row]; TILE];
    for (lane, dot) in dots.iter_mut().enumerate() {
        let values = x.values.iter().flat_map(|quad| quad[row]);
        for (input, x) in values.take(m.inputs - at.1 * GROUP).enumerate() {
            *dot += i32::from(m.quant(at, lane, input)) * i32::from(x);
        }
    }
    dots.map(|d| d as f32)
}

//! The reference for integer tiles, in safe Rust: plain loops over arrays, which the compiler turns
//! into vectors on any target.
//!
//! Weights are taken apart into halves of bytes. The products of a half and a rounded value, summed
//! over a group's quads, fit 16 bits, so that a vector register holds as many of them as can be.

use std::ops::Range;

use super::super::lanes::{self, LANES, Lanes};
use super::super::packed::{GROUP, Line, PackedMatrix, Precision, QUAD, TILE};
use super::super::quantised::{PANEL, PanelGroup, PanelRows};

/// Quads of a group.
const QUADS: usize = GROUP / QUAD;
/// Bytes of a line.
const BYTES: usize = TILE * QUAD;

/// Tiles of weights for the first `rows` rows of `x`: `out` is (tile, row).
///
/// Per group: `sum += float(dot(q - offset, x)) * (scale_w * scale_x)`, then, if the weights have
/// minima, `sum += float(sum of x) * scale_x * minimum`.
pub(super) fn tiles(
    m: &PackedMatrix,
    tiles: Range<usize>,
    (x, rows): (PanelRows<'_>, usize),
    out: &mut [Lanes],
) {
    let mut halves = Halves { low: [[0; BYTES]; QUADS], high: [[0; BYTES]; QUADS] };
    for (tile, out) in tiles.zip(out.chunks_exact_mut(rows)) {
        out.fill(lanes::splat(0.0));
        for (group, group_x) in x.groups.iter().enumerate() {
            let lines = m.group(tile, group);
            halves.decode(lines);
            let at = tile * m.groups() + group;
            let scales = lanes::widen(&m.scales[at]);
            let minima = m.minima.get(at).map(lanes::widen);
            for (row, out) in (x.first..).zip(out.iter_mut()) {
                let dots = halves.dots(m.precision, lines.len(), group_x, row);
                let mut acc = fma(&dots, &lanes::scale(&scales, group_x.scales[row]), out);
                if let Some(minima) = &minima {
                    acc = fma(minima, &lanes::splat(group_x.totals[row]), &acc);
                }
                *out = acc;
            }
        }
    }
}

/// The halves of a group's bytes, line by line.
struct Halves {
    low: [[i16; BYTES]; QUADS],
    high: [[i16; BYTES]; QUADS],
}

impl Halves {
    fn decode(&mut self, lines: &[Line]) {
        for ((line, low), high) in lines.iter().zip(&mut self.low).zip(&mut self.high) {
            for i in 0..BYTES {
                low[i] = i16::from(line.0[i] & 0x0f);
                high[i] = i16::from(line.0[i] >> 4);
            }
        }
    }

    /// The dot products of the first `lines` lines and a row.
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "below 2^24")]
    fn dots(&self, precision: Precision, lines: usize, x: &PanelGroup, row: usize) -> Lanes {
        // The high half of a byte belongs to the same weight, or is one for a later quad.
        let (quad, unit) = if precision == Precision::Int8 { (0, 16) } else { (lines, 1) };
        let low = products(&self.low[..lines], &x.values, row);
        let high = products(&self.high[..lines], &x.values[quad..], row);
        let start = -precision.offset() * x.sums[row];
        let mut dots = lanes::splat(0.0);
        for i in 0..LANES {
            dots[i] = (start + low[i] + unit * high[i]) as f32;
        }
        dots
    }
}

/// The sums of the products of some quads of a row with a line for each.
#[inline(always)]
fn products(lines: &[[i16; BYTES]], x: &[[[i8; QUAD]; PANEL]], row: usize) -> [i32; LANES] {
    let mut sums = [0_i16; BYTES];
    for (line, x) in lines.iter().zip(x) {
        let mut inputs = [0; BYTES];
        for inputs in inputs.as_chunks_mut::<QUAD>().0 {
            *inputs = x[row];
        }
        for i in 0..BYTES {
            // Never wraps, for 8 * 15 * 128 fits; checks would keep out vectors.
            let product = line[i].wrapping_mul(i16::from(inputs[i]));
            sums[i] = sums[i].wrapping_add(product);
        }
    }
    let mut total = [0; LANES];
    for (total, sums) in total.iter_mut().zip(sums.as_chunks::<QUAD>().0) {
        let [a, b, c, d] = sums.map(i32::from);
        *total = a + b + c + d;
    }
    total
}

/// `a * b + c` in every lane, rounded once, as [`lanes::fma`].
///
/// Plain x86-64 has no such instruction, and calls a function for each lane. But the product of two
/// f32 is exact in f64; if the sum is not, then of its neighbours the odd one is taken, which lies
/// on no middle between two f32: rounding it to f32 is rounding the exact sum.
#[inline(always)]
fn fma(a: &Lanes, b: &Lanes, c: &Lanes) -> Lanes {
    if cfg!(any(not(target_arch = "x86_64"), target_feature = "fma")) {
        return lanes::fma(a, b, c);
    }
    let mut out = *c;
    for i in 0..LANES {
        let (product, c) = (f64::from(a[i]) * f64::from(b[i]), f64::from(c[i]));
        let sum = product + c;
        let added = sum - product;
        let error = (product - (sum - added)) + (c - added);
        let bits = sum.to_bits();
        let wrong = u64::from(error.abs() > 0.0) & !bits & 1;
        let down = (error.to_bits() ^ bits) >> 63 & wrong;
        #[expect(clippy::cast_possible_truncation, reason = "rounds")]
        let rounded = f64::from_bits(bits.wrapping_add(wrong).wrapping_sub(down << 1)) as f32;
        out[i] = rounded;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Noise, integer_matrices, panel};
    use super::*;

    /// One output of a row, weight by weight.
    fn output(m: &PackedMatrix, (tile, lane): (usize, usize), x: PanelRows<'_>, row: usize) -> f32 {
        let mut acc = 0.0_f32;
        for (group, x) in x.groups.iter().enumerate() {
            let mut dot = -m.precision.offset() * x.sums[row];
            let values = x.values.iter().flat_map(|quad| quad[row]);
            for (input, x) in values.take(m.inputs - group * GROUP).enumerate() {
                dot += i32::from(m.quant((tile, group), lane, input)) * i32::from(x);
            }
            let at = tile * m.groups() + group;
            let step = lanes::widen(&m.scales[at])[lane] * x.scales[row];
            acc = (dot as f32).mul_add(step, acc);
            if m.precision == Precision::Int4Affine {
                acc = lanes::widen(&m.minima[at])[lane].mul_add(x.totals[row], acc);
            }
        }
        acc
    }

    #[test]
    fn every_output_is_what_its_weights_give_one_by_one() {
        for m in integer_matrices() {
            let groups = panel(m.inputs);
            for (first, rows) in [(0, PANEL), (2, 3), (7, 1)] {
                let x = PanelRows { groups: &groups, first };
                let mut out = vec![lanes::splat(f32::NAN); 2 * rows];
                tiles(&m, 1..3, (x, rows), &mut out);
                for (at, got) in out.iter().enumerate() {
                    let (tile, row) = (1 + at / rows, first + at % rows);
                    for (lane, got) in got.iter().enumerate() {
                        let want = output(&m, (tile, lane), x, row);
                        assert_eq!(got.to_bits(), want.to_bits(), "{:?} {tile} {row}", m.precision);
                    }
                }
            }
        }
    }

    fn check_fma(a: f32, b: f32, c: f32) {
        let got = fma(&lanes::splat(a), &lanes::splat(b), &lanes::splat(c))[9];
        let want = a.mul_add(b, c);
        let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
        assert!(same, "{a:e} * {b:e} + {c:e}: {got:e} {want:e}");
    }

    #[test]
    fn multiply_add_rounds_once() {
        let special = [0.0, -0.0, 1.0, -1.5, f32::MAX, f32::MIN_POSITIVE, 1e-45, f32::INFINITY];
        for (a, b) in special.into_iter().flat_map(|a| special.map(|b| (a, b))) {
            special.into_iter().for_each(|c| check_fma(a, -b, c));
        }
        let mut noise = Noise::new(9);
        let mut bits = || (noise.next() * 32_768.0) as i32 as u32 & 0xffff;
        for i in 0..200_000 {
            let [a, b, c] = [(); 3].map(|()| f32::from_bits(bits() << 16 | bits()));
            check_fma(a, b, c);
            // Products by which a sum lies so near the middle between two f32 that an f64 cannot
            // tell, of usual size and of the smallest.
            let (near, half) = (2.0_f32.powi(-12 - i % 12), 2.0_f32.powi(-24));
            let c = f32::from_bits(c.to_bits() & 0x807f_ffff | 1.0_f32.to_bits());
            for (near, half) in [(near, half), (-near, half), (near, -half), (-near, -half)] {
                check_fma(1.0 + near, half * (1.0 - near), c);
                check_fma(1.0 + near, half * (1.0 + near), c);
                let tiny = 2.0_f32.powi(-50);
                check_fma((1.0 + near) * tiny, half * (1.0 - near) * tiny, c * 2.0_f32.powi(-126));
                check_fma((1.0 + near) * tiny, half * (1.0 + near), c * 2.0_f32.powi(-130));
            }
        }
    }
}

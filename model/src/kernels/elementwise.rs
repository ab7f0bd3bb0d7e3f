//! What happens to rows between the linear layers: normalisation, rotary embedding, gating.

use super::lanes::{self, LANES, Lanes};
use super::{Isa, per_isa};

per_isa! {
    /// RMS normalisation: `x / sqrt(mean(x^2) + epsilon) * weight` for each row of `x` and `out`,
    /// (rows, width).
    ///
    /// # Panics
    /// If `x` and `out` are not whole rows as wide as `weight`, as many of each.
    pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) = rms_norm_body
}

#[inline(always)]
fn rms_norm_body(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = weight.len();
    assert!(x.len() == out.len() && x.len().is_multiple_of(width), "widths of a norm");
    for (values, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        #[expect(clippy::cast_precision_loss, reason = "a layer's width")]
        let mean = lanes::dot(values, values) / width as f32;
        let inverse = 1.0 / (mean + epsilon).sqrt();
        for ((out, x), w) in out.iter_mut().zip(values).zip(weight) {
            *out = x * inverse * w;
        }
    }
}

per_isa! {
    /// `gate = silu(gate) * up`, value by value, where `silu(g) = g / (1 + e^-g)`.
    pub fn gate(gate: &mut [f32], up: &[f32]) = gate_body
}

#[inline(always)]
fn gate_body(gate: &mut [f32], up: &[f32]) {
    let (gates, gate_tail) = gate.as_chunks_mut::<LANES>();
    let (ups, up_tail) = up.as_chunks::<LANES>();
    for (gate, up) in gates.iter_mut().zip(ups) {
        gate_lanes(gate, up);
    }
    let (mut gate, mut up) = (lanes::splat(0.0), lanes::splat(0.0));
    gate[..gate_tail.len()].copy_from_slice(gate_tail);
    up[..up_tail.len()].copy_from_slice(up_tail);
    gate_lanes(&mut gate, &up);
    gate_tail.copy_from_slice(&gate[..gate_tail.len()]);
}

#[inline(always)]
fn gate_lanes(gate: &mut Lanes, up: &Lanes) {
    let e = lanes::exp(&lanes::scale(gate, -1.0));
    for i in 0..LANES {
        gate[i] = gate[i] / (1.0 + e[i]) * up[i];
    }
}

per_isa! {
    /// `x` in half precision, as [`lanes::narrow`] rounds it.
    ///
    /// # Panics
    /// If `half` is shorter than `x`.
    pub fn halve(x: &[f32], half: &mut [u16]) = halve_body
}

#[inline(always)]
fn halve_body(x: &[f32], half: &mut [u16]) {
    let (whole, rest) = x.as_chunks::<LANES>();
    let (halves, half_rest) = half[..x.len()].as_chunks_mut::<LANES>();
    for (half, x) in halves.iter_mut().zip(whole) {
        *half = lanes::narrow(x);
    }
    let mut last = lanes::splat(0.0);
    last[..rest.len()].copy_from_slice(rest);
    half_rest.copy_from_slice(&lanes::narrow(&last)[..half_rest.len()]);
}

per_isa! {
    /// `x = e^((x - largest) * scale)`, value by value; the sum of the results.
    pub fn exponentiate(x: &mut [f32], largest: f32, scale: f32) -> f64 = exponentiate_body
}

#[inline(always)]
fn exponentiate_body(x: &mut [f32], largest: f32, scale: f32) -> f64 {
    let mut total = [0.0_f64; LANES];
    for x in x.chunks_mut(LANES) {
        let mut lanes = lanes::splat(f32::NEG_INFINITY);
        lanes[..x.len()].copy_from_slice(x);
        for v in &mut lanes {
            *v = (*v - largest) * scale;
        }
        let e = lanes::exp(&lanes);
        for i in 0..LANES {
            total[i] += f64::from(e[i]);
        }
        x.copy_from_slice(&e[..x.len()]);
    }
    total.iter().sum()
}

/// The rotary embedding's frequencies, `theta^(-2i/head_dim)`: (head_dim / 2).
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "f32 on purpose")]
pub(crate) fn frequencies(theta: f64, head_dim: usize) -> Vec<f32> {
    (0..head_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64) as f32).collect()
}

/// Cosines and sines of the rotary embedding for every position.
///
/// Angles are positions times frequencies, rounded to f32 as the reference implementations do
/// (arXiv 2104.09864, in the half-split layout of Hugging Face).
#[derive(Debug)]
pub struct Rotation {
    /// (position, head_dim / 2).
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Rotation {
    /// Tables for positions below `positions`.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "f32 on purpose"
    )]
    pub fn new(theta: f64, head_dim: usize, positions: usize) -> Self {
        let frequencies = frequencies(theta, head_dim);
        let angles =
            (0..positions).flat_map(|p| frequencies.iter().map(move |f| f64::from(p as f32 * f)));
        let (cos, sin) = angles.map(|a| (a.cos() as f32, a.sin() as f32)).unzip();
        Self { cos, sin, half: head_dim / 2 }
    }

    /// Rotates every head of `row` to `position`, in place.
    ///
    /// # Panics
    /// If `position` is beyond the table.
    pub fn apply(&self, isa: Isa, row: &mut [f32], position: usize) {
        let (cos, sin) = self.angles(position);
        turn(isa, row, cos, sin, 1.0);
    }

    /// Rotates every head of `row` back from `position`, in place.
    ///
    /// # Panics
    /// If `position` is beyond the table.
    pub fn undo(&self, isa: Isa, row: &mut [f32], position: usize) {
        let (cos, sin) = self.angles(position);
        turn(isa, row, cos, sin, -1.0);
    }

    fn angles(&self, position: usize) -> (&[f32], &[f32]) {
        let at = position * self.half;
        (&self.cos[at..][..self.half], &self.sin[at..][..self.half])
    }
}

per_isa! {
    /// Turns every head of `row` by angles whose sines are `sign * sin`.
    fn turn(row: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) = turn_body
}

#[inline(always)]
fn turn_body(row: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    let half = cos.len();
    let (cos, cos_tail) = cos.as_chunks::<LANES>();
    let (sin, sin_tail) = sin[..half].as_chunks::<LANES>();
    for head in row.chunks_exact_mut(2 * half) {
        let (first, second) = head.split_at_mut(half);
        let (first, first_tail) = first.as_chunks_mut::<LANES>();
        let (second, second_tail) = second.as_chunks_mut::<LANES>();
        for (((first, second), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
            turn_values(first, second, cos, sin, sign);
        }
        turn_values(first_tail, second_tail, cos_tail, sin_tail, sign);
    }
}

#[inline(always)]
fn turn_values(first: &mut [f32], second: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    for (((first, second), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
        let (a, b, sin) = (*first, *second, sign * sin);
        *first = a * cos - b * sin;
        *second = b * cos + a * sin;
    }
}

#[cfg(test)]
mod tests {
    use super::super::linear::tests::Noise;
    use super::*;
    use crate::Rows;

    #[test]
    fn a_normalised_row_has_unit_mean_square() {
        let x = Noise::new(1).rows(3, 72);
        for isa in Isa::available() {
            let mut out = Rows::zeros(3, 72);
            rms_norm(isa, x.values(), &[1.0; 72], 0.0, out.values_mut());
            for row in 0..3 {
                let mean = out.row(row).iter().map(|v| v * v).sum::<f32>() / 72.0;
                assert!((mean - 1.0).abs() < 1e-5, "{isa:?}: {mean}");
            }
        }
    }

    #[test]
    fn gating_agrees_with_the_formula_on_every_instruction_set() {
        let mut noise = Noise::new(2);
        let g: Vec<f32> = (0..37).map(|_| noise.next() * 20.0).collect();
        let u: Vec<f32> = (0..37).map(|_| noise.next()).collect();
        let mut portable = g.clone();
        gate(Isa::Portable, &mut portable, &u);
        for i in 0..37 {
            let want = f64::from(g[i]) / (1.0 + f64::from(-g[i]).exp()) * f64::from(u[i]);
            assert!((f64::from(portable[i]) - want).abs() <= 1e-6 * want.abs().max(1e-3));
        }
        for isa in Isa::available() {
            let mut got = g.clone();
            gate(isa, &mut got, &u);
            assert_eq!(got, portable, "{isa:?}");
        }
    }

    #[test]
    fn exponentials_and_their_sum_agree_on_every_instruction_set() {
        let x: Vec<f32> = (0..37).map(|i| i as f32 / 7.0 - 9.0).collect();
        let mut portable = x.clone();
        let sum = exponentiate(Isa::Portable, &mut portable, 2.0, 0.5);
        let want: f64 = x.iter().map(|x| f64::from((x - 2.0) * 0.5).exp()).sum();
        assert!((sum / want - 1.0).abs() < 1e-6);
        for isa in Isa::available() {
            let mut got = x.clone();
            assert_eq!(exponentiate(isa, &mut got, 2.0, 0.5).to_bits(), sum.to_bits());
            assert_eq!(got, portable, "{isa:?}");
        }
    }

    #[test]
    fn rotation_keeps_lengths_and_turns_by_the_position() {
        let rotation = Rotation::new(10_000.0, 4, 8);
        let mut row = [1.0, 0.0, 0.0, 1.0];
        rotation.apply(Isa::detect(), &mut row, 3);
        // Pair 0 turns by 3 radians from (1, 0), pair 1 by 0.03 from (0, 1).
        let want = [3.0_f32.cos(), -(0.03_f32.sin()), 3.0_f32.sin(), 0.03_f32.cos()];
        for (got, want) in row.iter().zip(want) {
            assert!((got - want).abs() < 1e-6, "{row:?}");
        }
        rotation.undo(Isa::detect(), &mut row, 3);
        for (got, want) in row.iter().zip([1.0, 0.0, 0.0, 1.0]) {
            assert!((got - want).abs() < 1e-6, "{row:?}");
        }
    }
}

//! Activations rounded to 8 bits, in groups of 32 that share a scale.

use super::lanes::{self, LANES};
use super::packed::GROUP;
use super::pool::Pool;
use super::{Isa, per_isa};
use crate::Rows;

/// Activation rows rounded to 8 bits.
#[derive(Debug, Default)]
pub(crate) struct QuantisedRows {
    /// (row, group, 32).
    pub(crate) values: Vec<[i8; GROUP]>,
    /// (row, group).
    pub(crate) scales: Vec<f32>,
    /// The sum of a group's values: (row, group).
    pub(crate) sums: Vec<i32>,
}

impl QuantisedRows {
    /// Rounds `x`; a row's last group is filled up with zeros.
    pub(crate) fn new(pool: &Pool, isa: Isa, x: &Rows) -> Self {
        let groups = x.width().div_ceil(GROUP);
        let len = x.len() * groups;
        let mut rows =
            Self { values: vec![[0; GROUP]; len], scales: vec![0.0; len], sums: vec![0; len] };
        let piece = pool.piece(x.len());
        let values = rows.values.chunks_mut(piece * groups);
        let scales =
            rows.scales.chunks_mut(piece * groups).zip(rows.sums.chunks_mut(piece * groups));
        let pieces = x.values().chunks(piece * x.width()).zip(values.zip(scales));
        pool.each(pieces, |(x_values, (values, (scales, sums)))| {
            quantise(isa, x_values, x.width(), values, scales, sums);
        });
        rows
    }
}

per_isa! {
    /// Rounds rows of that width; the rest are (row, group).
    fn quantise(
        x: &[f32],
        width: usize,
        values: &mut [[i8; GROUP]],
        scales: &mut [f32],
        sums: &mut [i32],
    ) = quantise_body
}

#[inline(always)]
fn quantise_body(
    x: &[f32],
    width: usize,
    values: &mut [[i8; GROUP]],
    scales: &mut [f32],
    sums: &mut [i32],
) {
    let groups = width.div_ceil(GROUP);
    let rows = x.chunks_exact(width).zip(values.chunks_exact_mut(groups));
    let scales = scales.chunks_exact_mut(groups).zip(sums.chunks_exact_mut(groups));
    for ((x, values), (scales, sums)) in rows.zip(scales) {
        let (whole, rest) = x.as_chunks::<GROUP>();
        for (i, group) in whole.iter().enumerate() {
            (values[i], scales[i], sums[i]) = quantise_group(group);
        }
        if !rest.is_empty() {
            let mut group = [0.0; GROUP];
            group[..rest.len()].copy_from_slice(rest);
            (values[whole.len()], scales[whole.len()], sums[whole.len()]) = quantise_group(&group);
        }
    }
}

/// The group's values as multiples of its scale, the scale, and the sum of the multiples.
#[inline(always)]
fn quantise_group(group: &[f32; GROUP]) -> ([i8; GROUP], f32, i32) {
    let mut most = lanes::splat(0.0);
    for values in group.as_chunks::<LANES>().0 {
        let mut sizes = *values;
        for size in &mut sizes {
            *size = size.abs();
        }
        most = lanes::larger(&most, &sizes);
    }
    let largest = lanes::largest(&most);
    let inverse = if largest == 0.0 { 0.0 } else { 127.0 / largest };
    let mut quants = [0; GROUP];
    let mut sum = 0;
    for (quant, value) in quants.iter_mut().zip(group) {
        *quant = round(value * inverse);
        sum += i32::from(*quant);
    }
    (quants, largest / 127.0, sum)
}

/// The nearest integer, ties to even, of a value in a byte's range; of what is no number, some byte.
#[inline(always)]
fn round(value: f32) -> i8 {
    (value + lanes::ROUNDING).to_bits().to_le_bytes()[0].cast_signed()
}

#[cfg(test)]
mod tests {
    use super::super::linear::tests::Noise;
    use super::*;

    #[test]
    fn values_are_the_nearest_multiples_of_the_scale_in_every_instruction_set() {
        let x = Noise::new(2).rows(5, 72);
        for (isa, parts) in Isa::available().into_iter().flat_map(|isa| [(isa, 1), (isa, 3)]) {
            let rows = QuantisedRows::new(&Pool::new(parts), isa, &x);
            for (at, values) in rows.values.iter().enumerate() {
                let part = &x.row(at / 3)[at % 3 * GROUP..72.min((at % 3 + 1) * GROUP)];
                let largest = part.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
                assert_eq!(rows.scales[at], largest / 127.0);
                for (value, x) in values.iter().zip(part) {
                    let want = (x * (127.0 / largest)).round_ties_even();
                    assert_eq!(f32::from(*value), want, "{isa:?} {at}");
                }
                assert!(values[part.len()..].iter().all(|v| *v == 0));
                assert_eq!(rows.sums[at], values.iter().map(|v| i32::from(*v)).sum::<i32>());
            }
        }
    }

    #[test]
    fn rounding_is_to_even_and_zeros_stay() {
        for (value, want) in
            [(0.5, 0), (1.5, 2), (-0.5, 0), (-2.5, -2), (127.0, 127), (-127.0, -127)]
        {
            assert_eq!(round(value), want);
        }
        assert_eq!(quantise_group(&[0.0; GROUP]), ([0; GROUP], 0.0, 0));
    }
}

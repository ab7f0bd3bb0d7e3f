//! Products in brain floats (bf16): half the bytes and twice the speed of f32 where the processor
//! multiplies them itself.
//!
//! Rows and weights are rounded to eight bits of precision, sums are kept in f32. For training,
//! where the gradients' own noise is far larger; evaluation stays exact.

use half::bf16;
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
mod avx512;

/// Outputs that are computed side by side: two registers of f32.
const PANEL: usize = 32;
/// Rows that share a pass over a panel: with two registers each they fill the register file.
const TILE: usize = 12;

/// A matrix that rows are multiplied by, laid out for that.
#[derive(Debug)]
pub struct BrainMatrix {
    inputs: usize,
    outputs: usize,
    /// For each panel of outputs, for each pair of inputs, the two values of each output; filled
    /// up with zeros.
    panels: Vec<bf16>,
}

impl BrainMatrix {
    /// Whether this processor multiplies brain floats.
    #[must_use]
    pub fn is_supported() -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            false
        }
    }

    /// Lays out the matrix whose value for an output and an input is `at(output, input)`.
    #[must_use]
    pub fn new(outputs: usize, inputs: usize, at: impl Fn(usize, usize) -> f32 + Sync) -> Self {
        let pairs = inputs.div_ceil(2);
        let mut panels = vec![bf16::ZERO; outputs.div_ceil(PANEL) * pairs * 2 * PANEL];
        panels.par_chunks_exact_mut(pairs * 2 * PANEL).enumerate().for_each(|(panel, values)| {
            for (place, value) in values.iter_mut().enumerate() {
                let output = panel * PANEL + place / 2 % PANEL;
                let input = place / (2 * PANEL) * 2 + place % 2;
                if output < outputs && input < inputs {
                    *value = bf16::from_f32(at(output, input));
                }
            }
        });
        Self { inputs, outputs, panels }
    }

    /// Values in a row that is multiplied.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Values in a row that comes out.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Multiplies rows: `x` (rows, inputs) gives (rows, outputs). A row's result does not depend on
    /// the others.
    ///
    /// # Panics
    /// If `x` has no whole rows, or the processor does not multiply brain floats.
    #[must_use]
    pub fn multiply(&self, x: &[f32]) -> Vec<f32> {
        assert!(Self::is_supported(), "brain floats are not supported here");
        assert!(x.len().is_multiple_of(self.inputs), "whole rows");
        let rows = x.len() / self.inputs;
        let x = Rounded::new(x, self.inputs);
        // Each panel of outputs by itself, since its rows lie apart in the result.
        let pairs = self.inputs.div_ceil(2);
        let panels: Vec<Vec<f32>> = self
            .panels
            .par_chunks_exact(pairs * 2 * PANEL)
            .map(|panel| {
                let mut out = vec![0.0; rows.div_ceil(TILE) * TILE * PANEL];
                for (tile, out) in out.chunks_exact_mut(TILE * PANEL).enumerate() {
                    product(x.tile(tile), panel, out);
                }
                out
            })
            .collect();
        self.gathered(rows, &panels)
    }

    /// Panels side by side.
    fn gathered(&self, rows: usize, panels: &[Vec<f32>]) -> Vec<f32> {
        let mut y = vec![0.0; rows * self.outputs];
        y.par_chunks_exact_mut(self.outputs).enumerate().for_each(|(row, y)| {
            for (y, panel) in y.chunks_mut(PANEL).zip(panels) {
                y.copy_from_slice(&panel[row * PANEL..][..y.len()]);
            }
        });
        y
    }
}

/// Rows in brain floats, filled up to pairs of values and tiles of rows.
struct Rounded {
    values: Vec<bf16>,
    tile: usize,
}

impl Rounded {
    fn new(x: &[f32], inputs: usize) -> Self {
        let padded = inputs.next_multiple_of(2);
        let rows = x.len() / inputs;
        let mut values = vec![bf16::ZERO; rows.next_multiple_of(TILE) * padded];
        let rows = values.par_chunks_exact_mut(padded).zip(x.par_chunks_exact(inputs));
        rows.for_each(|(values, x)| round(x, &mut values[..inputs]));
        Self { values, tile: TILE * padded }
    }

    fn tile(&self, index: usize) -> &[bf16] {
        &self.values[index * self.tile..][..self.tile]
    }
}

/// A tile of rows times a panel: `out` is (TILE, PANEL).
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "calls the copy whose features were detected")]
fn product(rows: &[bf16], panel: &[bf16], out: &mut [f32]) {
    // SAFETY: `multiply` has asserted that the processor has these instructions.
    unsafe { avx512::product(rows, panel, out) }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "calls the copy whose features were detected")]
fn round(x: &[f32], out: &mut [bf16]) {
    // SAFETY: `multiply` has asserted that the processor has these instructions.
    unsafe { avx512::round(x, out) }
}

#[cfg(not(target_arch = "x86_64"))]
fn round(_: &[f32], _: &mut [bf16]) {
    unreachable!("`multiply` has asserted that there is a version for this processor");
}

#[cfg(not(target_arch = "x86_64"))]
fn product(_: &[bf16], _: &[bf16], _: &mut [f32]) {
    unreachable!("`multiply` has asserted that there is a version for this processor");
}

#[cfg(test)]
mod tests {
    use super::super::linear::tests::Noise;
    use super::*;

    #[test]
    fn a_product_is_that_of_the_rounded_values_for_every_shape() {
        if !BrainMatrix::is_supported() {
            return;
        }
        let mut noise = Noise::new(1);
        for (rows, inputs, outputs) in [(1, 2, 1), (12, 64, 32), (13, 7, 33), (40, 96, 65)] {
            let x: Vec<f32> = (0..rows * inputs).map(|_| noise.next()).collect();
            let w: Vec<f32> = (0..outputs * inputs).map(|_| noise.next()).collect();
            let y = BrainMatrix::new(outputs, inputs, |o, i| w[o * inputs + i]).multiply(&x);
            assert_eq!(y.len(), rows * outputs);
            let rounded = |value: f32| f64::from(bf16::from_f32(value).to_f32());
            for (at, y) in y.iter().enumerate() {
                let (row, output) = (at / outputs, at % outputs);
                let terms = (0..inputs)
                    .map(|i| rounded(x[row * inputs + i]) * rounded(w[output * inputs + i]));
                let want: f64 = terms.sum();
                assert!((f64::from(*y) - want).abs() < 1e-4, "{rows}x{inputs}: {y} {want}");
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_its_company() {
        if !BrainMatrix::is_supported() {
            return;
        }
        let mut noise = Noise::new(2);
        let x: Vec<f32> = (0..30 * 48).map(|_| noise.next()).collect();
        let w: Vec<f32> = (0..40 * 48).map(|_| noise.next()).collect();
        let matrix = BrainMatrix::new(40, 48, |o, i| w[o * 48 + i]);
        let together = matrix.multiply(&x);
        for row in 0..30 {
            assert_eq!(matrix.multiply(&x[row * 48..][..48]), together[row * 40..][..40]);
        }
    }
}

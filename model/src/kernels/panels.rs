//! Products with a matrix that never changes, at the processor's full speed: for training.
//!
//! The matrix is laid out once in panels, as a product walks over it. Values are f32, or brain
//! floats (bf16): half the bytes and twice the speed where the processor multiplies them itself.
//! Then rows and weights are rounded to eight bits of precision and sums are kept in f32, which is
//! for training alone: the gradients' own noise is far larger there.

use rayon::prelude::*;

use super::disjoint::DisjointRows;

#[cfg(target_arch = "x86_64")]
mod avx512;

/// Outputs that are computed side by side: two registers of f32.
const PANEL: usize = 32;
/// Rows that share a pass over a panel: with two registers each they fill the register file.
const TILE: usize = 12;

/// What the values of a product are rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Not at all.
    F32,
    /// To brain floats.
    Brain,
}

impl Precision {
    /// Whether this processor has the instructions.
    #[must_use]
    pub fn is_supported(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            is_x86_feature_detected!("avx512f")
                && (self == Self::F32 || is_x86_feature_detected!("avx512bf16"))
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            false
        }
    }

    /// Values in a word of four bytes.
    const fn per_word(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Brain => 2,
        }
    }

    /// Rounds values into words; missing ones are 0.
    fn pack(self, values: &[f32], words: &mut [u32]) {
        match self {
            Self::F32 => values.iter().zip(words).for_each(|(v, word)| *word = v.to_bits()),
            Self::Brain => round(values, words),
        }
    }
}

/// A matrix that rows are multiplied by, laid out for that.
#[derive(Debug)]
pub struct PanelMatrix {
    precision: Precision,
    inputs: usize,
    outputs: usize,
    /// For each panel of outputs, for each word of inputs, that word of each output; filled up with
    /// zeros.
    panels: Vec<u32>,
}

impl PanelMatrix {
    /// Lays out the matrix whose value for an output and an input is `at(output, input)`.
    ///
    /// # Panics
    /// If the processor does not support the precision.
    #[must_use]
    pub fn new(
        precision: Precision,
        outputs: usize,
        inputs: usize,
        at: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        assert!(precision.is_supported(), "{precision:?} is not supported here");
        let words = inputs.div_ceil(precision.per_word());
        let mut panels = vec![0; outputs.div_ceil(PANEL) * words * PANEL];
        panels.par_chunks_exact_mut(words * PANEL).enumerate().for_each(|(panel, values)| {
            let (mut row, mut packed) = (vec![0.0; inputs], vec![0; words]);
            for place in 0..PANEL.min(outputs - panel * PANEL) {
                let output = panel * PANEL + place;
                row.iter_mut().enumerate().for_each(|(input, value)| *value = at(output, input));
                precision.pack(&row, &mut packed);
                for (values, word) in values.chunks_exact_mut(PANEL).zip(&packed) {
                    values[place] = *word;
                }
            }
        });
        Self { precision, inputs, outputs, panels }
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
    /// If `x` has no whole rows.
    #[must_use]
    pub fn multiply(&self, x: &[f32]) -> Vec<f32> {
        assert!(x.len().is_multiple_of(self.inputs), "whole rows");
        let rows = x.len() / self.inputs;
        let words = self.inputs.div_ceil(self.precision.per_word());
        let tiles = self.packed(x, words);
        let mut y = vec![0.0; rows * self.outputs];
        let places = DisjointRows::new(&mut y, self.outputs);
        self.panels.par_chunks_exact(words * PANEL).enumerate().for_each(|(panel, weights)| {
            let columns = panel * PANEL..self.outputs.min((panel + 1) * PANEL);
            let mut sums = [0.0; TILE * PANEL];
            for (tile, values) in tiles.chunks_exact(TILE * words).enumerate() {
                product(self.precision, values, weights, &mut sums);
                let rows = tile * TILE..rows.min((tile + 1) * TILE);
                for (row, sums) in rows.zip(sums.chunks_exact(PANEL)) {
                    #[expect(unsafe_code, reason = "a panel's columns are its task's alone")]
                    // SAFETY: panels do not share columns, and the slice is gone at the next row.
                    let y = unsafe { places.columns(row, columns.clone()) };
                    y.copy_from_slice(&sums[..y.len()]);
                }
            }
        });
        y
    }

    /// Rows in words, filled up to tiles with zeros.
    fn packed(&self, x: &[f32], words: usize) -> Vec<u32> {
        let rows = x.len() / self.inputs;
        let mut values = vec![0; rows.next_multiple_of(TILE) * words];
        let rows = values.par_chunks_exact_mut(words).zip(x.par_chunks_exact(self.inputs));
        rows.for_each(|(values, x)| self.precision.pack(x, values));
        values
    }
}

/// A tile of rows times a panel: `out` is (TILE, PANEL).
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "calls code whose features were detected")]
fn product(precision: Precision, rows: &[u32], panel: &[u32], out: &mut [f32]) {
    // SAFETY: a matrix of this precision is only made where these instructions are.
    unsafe {
        match precision {
            Precision::F32 => avx512::product(rows, panel, out),
            Precision::Brain => avx512::product_of_brain_floats(rows, panel, out),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "calls code whose features were detected")]
fn round(values: &[f32], words: &mut [u32]) {
    // SAFETY: a matrix of brain floats is only made where these instructions are.
    unsafe { avx512::round(values, words) }
}

#[cfg(not(target_arch = "x86_64"))]
fn round(_: &[f32], _: &mut [u32]) {
    unreachable!("a matrix is only made where there is code for it");
}

#[cfg(not(target_arch = "x86_64"))]
fn product(_: Precision, _: &[u32], _: &[u32], _: &mut [f32]) {
    unreachable!("a matrix is only made where there is code for it");
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::super::linear::tests::Noise;
    use super::*;

    fn supported() -> impl Iterator<Item = Precision> {
        [Precision::F32, Precision::Brain].into_iter().filter(|p| p.is_supported())
    }

    #[test]
    fn a_product_is_that_of_the_rounded_values_for_every_shape() {
        let mut noise = Noise::new(1);
        let shapes = [(1, 2, 1), (12, 64, 32), (13, 7, 33), (40, 96, 65), (5, 1, 31)];
        for (precision, (rows, inputs, outputs)) in
            supported().flat_map(|precision| shapes.map(|shape| (precision, shape)))
        {
            let x: Vec<f32> = (0..rows * inputs).map(|_| noise.next()).collect();
            let w: Vec<f32> = (0..outputs * inputs).map(|_| noise.next()).collect();
            let matrix = PanelMatrix::new(precision, outputs, inputs, |o, i| w[o * inputs + i]);
            let y = matrix.multiply(&x);
            assert_eq!(y.len(), rows * outputs);
            let rounded = |value: f32| match precision {
                Precision::F32 => f64::from(value),
                Precision::Brain => f64::from(bf16::from_f32(value).to_f32()),
            };
            for (at, y) in y.iter().enumerate() {
                let (row, output) = (at / outputs, at % outputs);
                let terms = (0..inputs)
                    .map(|i| rounded(x[row * inputs + i]) * rounded(w[output * inputs + i]));
                let want: f64 = terms.sum();
                assert!((f64::from(*y) - want).abs() < 1e-4, "{precision:?}: {y} {want}");
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_its_company() {
        let mut noise = Noise::new(2);
        let x: Vec<f32> = (0..30 * 48).map(|_| noise.next()).collect();
        let w: Vec<f32> = (0..40 * 48).map(|_| noise.next()).collect();
        for precision in supported() {
            let matrix = PanelMatrix::new(precision, 40, 48, |o, i| w[o * 48 + i]);
            let together = matrix.multiply(&x);
            for row in 0..30 {
                assert_eq!(matrix.multiply(&x[row * 48..][..48]), together[row * 40..][..40]);
            }
        }
    }
}

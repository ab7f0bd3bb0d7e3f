//! The one hot operation: rows times a matrix.
//!
//! The loop is compiled once for any processor and once for those with wide fused arithmetic,
//! chosen at run time. An output is summed in the order of the inputs, whatever rows are beside it.
#![expect(unsafe_code, reason = "a loop compiled for more features than the program's")]

/// Outputs that are computed side by side.
const LANES: usize = 16;
/// Rows that share a load of weights.
const ROWS: usize = 4;

/// An affine map.
#[derive(Debug)]
pub(super) struct Linear {
    /// For each block of [`LANES`] outputs (inputs, LANES); outputs beyond the last are zeros.
    weights: Vec<f32>,
    /// (outputs), padded to whole blocks.
    bias: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    /// Takes `weights` (outputs, inputs) and `bias` (outputs), neither of them empty.
    pub(super) fn new(weights: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let inputs = weights.len() / outputs;
        let padded = outputs.next_multiple_of(LANES);
        let mut blocks = vec![0.0; inputs * padded];
        for (output, row) in weights.chunks_exact(inputs).enumerate() {
            let (block, lane) = (output / LANES, output % LANES);
            for (input, &weight) in row.iter().enumerate() {
                blocks[(block * inputs + input) * LANES + lane] = weight;
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(padded, 0.0);
        Self { weights: blocks, bias, inputs, outputs }
    }

    /// How many outputs a row has.
    pub(super) const fn outputs(&self) -> usize {
        self.outputs
    }

    /// (n, inputs) to (n, outputs).
    pub(super) fn apply(&self, rows: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; rows.len() / self.inputs * self.outputs];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: this processor has the features that the function is compiled for.
            unsafe { self.apply_fused(rows, &mut out) };
            return out;
        }
        self.apply_with::<false>(rows, &mut out);
        out
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn apply_fused(&self, rows: &[f32], out: &mut [f32]) {
        self.apply_with::<true>(rows, out);
    }

    #[inline(always)]
    fn apply_with<const FUSED: bool>(&self, rows: &[f32], out: &mut [f32]) {
        let targets = out.chunks_mut(ROWS * self.outputs);
        for (rows, out) in rows.chunks(ROWS * self.inputs).zip(targets) {
            for block in 0..self.bias.len() / LANES {
                if rows.len() == ROWS * self.inputs {
                    self.block::<FUSED, ROWS>(block, rows, out);
                } else {
                    let singles = rows.chunks_exact(self.inputs);
                    for (row, out) in singles.zip(out.chunks_exact_mut(self.outputs)) {
                        self.block::<FUSED, 1>(block, row, out);
                    }
                }
            }
        }
    }

    /// One block of outputs of `N` rows.
    #[inline(always)]
    fn block<const FUSED: bool, const N: usize>(
        &self,
        block: usize,
        rows: &[f32],
        out: &mut [f32],
    ) {
        let first = block * LANES;
        let mut sums = [[0.0_f32; LANES]; N];
        for sum in &mut sums {
            sum.copy_from_slice(&self.bias[first..first + LANES]);
        }
        let weights = &self.weights[first * self.inputs..(first + LANES) * self.inputs];
        let (weights, _) = weights.as_chunks::<LANES>();
        let rows: [&[f32]; N] = std::array::from_fn(|n| &rows[n * self.inputs..][..self.inputs]);
        for (input, weights) in weights.iter().enumerate() {
            for (sum, row) in sums.iter_mut().zip(rows) {
                accumulate::<FUSED>(sum, row[input], weights);
            }
        }
        let count = LANES.min(self.outputs - first);
        for (n, sum) in sums.iter().enumerate() {
            let start = n * self.outputs + first;
            out[start..start + count].copy_from_slice(&sum[..count]);
        }
    }
}

/// Adds `value` times each weight.
#[inline(always)]
fn accumulate<const FUSED: bool>(sum: &mut [f32; LANES], value: f32, weights: &[f32; LANES]) {
    for lane in 0..LANES {
        sum[lane] = if FUSED {
            value.mul_add(weights[lane], sum[lane])
        } else {
            value * weights[lane] + sum[lane]
        };
    }
}

/// Negative values become 0.
pub(super) fn relu(values: &mut [f32]) {
    values.iter_mut().for_each(|value| *value = value.max(0.0));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sum as it is written in books, in double precision.
    fn reference(weights: &[f32], bias: &[f32], row: &[f32]) -> Vec<f64> {
        let dot =
            |w: &[f32]| w.iter().zip(row).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum::<f64>();
        weights.chunks_exact(row.len()).zip(bias).map(|(w, &b)| dot(w) + f64::from(b)).collect()
    }

    proptest! {
        #[test]
        fn both_loops_agree_with_double_precision_and_rows_do_not_mix(
            inputs in 1usize..40,
            outputs in 1usize..40,
            count in 1usize..10,
            values in prop::collection::vec(-1.0_f32..1.0, 40 * 40 + 40 + 400),
        ) {
            let (weights, rest) = values.split_at(inputs * outputs);
            let (bias, rest) = rest.split_at(outputs);
            let rows = &rest[..count * inputs];
            let linear = Linear::new(weights, bias);
            let (best, mut plain) = (linear.apply(rows), vec![0.0; count * outputs]);
            linear.apply_with::<false>(rows, &mut plain);
            for (index, row) in rows.chunks_exact(inputs).enumerate() {
                let range = index * outputs..(index + 1) * outputs;
                prop_assert_eq!(&linear.apply(row), &best[range.clone()], "alone as in company");
                for ((best, plain), exact) in best[range.clone()].iter().zip(&plain[range]).zip(reference(weights, bias, row)) {
                    prop_assert!((f64::from(*best) - exact).abs() < 1e-5);
                    prop_assert!((f64::from(*plain) - exact).abs() < 1e-5);
                }
            }
        }
    }
}

//! The log-likelihood of the tokens that stand in a text.

use candle_core::{CpuStorage, CustomOp2, D, DType, Layout, Result, Shape, Tensor, bail};
use candle_nn::ops;
use model::kernels::Isa;
use model::kernels::elementwise::exponentiate;
use rayon::prelude::*;

/// `log softmax(logits)` at the targets: logits (N, V), targets (N) u32 give (N). Gradients flow to
/// the logits.
///
/// # Errors
/// candle's, if shapes do not fit or a target is outside the vocabulary.
pub fn log_likelihood(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    if logits.device().is_cpu() && logits.dtype() == DType::F32 {
        return logits.contiguous()?.apply_op2(targets, LogLikelihood);
    }
    let all = ops::log_softmax(logits, D::Minus1)?;
    all.gather(&targets.unsqueeze(1)?, 1)?.squeeze(1)
}

/// Both passes in one walk over each row; composed of candle's operations they take a dozen.
struct LogLikelihood;

impl CustomOp2 for LogLikelihood {
    fn name(&self) -> &'static str {
        "log-likelihood"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        layout: &Layout,
        targets: &CpuStorage,
        targets_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let logits = values(logits.as_slice::<f32>()?, layout)?;
        let targets = values(targets.as_slice::<u32>()?, targets_layout)?;
        if targets.len() != rows || targets.iter().any(|target| *target as usize >= width) {
            bail!("{rows} rows of logits need as many targets within the vocabulary");
        }
        let isa = Isa::detect();
        let likelihood =
            |(row, target): (&[f32], &u32)| row[*target as usize] - log_sum(isa, &mut row.to_vec());
        let out = logits.par_chunks_exact(width).zip(targets).map(likelihood).collect();
        Ok((CpuStorage::F32(out), rows.into()))
    }

    /// `(onehot(target) - softmax(logits)) * g`.
    fn bwd(
        &self,
        logits: &Tensor,
        targets: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, width) = logits.dims2()?;
        let mut out: Vec<f32> = logits.flatten_all()?.to_vec1()?;
        let targets = targets.to_vec1::<u32>()?;
        let gradient = gradient.to_vec1::<f32>()?;
        let isa = Isa::detect();
        out.par_chunks_exact_mut(width).zip(targets).zip(gradient).for_each(
            |((row, target), gradient)| {
                let largest = largest(row);
                let sum = exponentiate(isa, row, largest, 1.0);
                #[expect(clippy::cast_possible_truncation, reason = "computed in f32")]
                let factor = (-f64::from(gradient) / sum) as f32;
                for value in &mut *row {
                    *value *= factor;
                }
                row[target as usize] += gradient;
            },
        );
        Ok((Some(Tensor::from_vec(out, (rows, width), logits.device())?), None))
    }
}

/// `log sum exp` of a row, which is overwritten.
pub(super) fn log_sum(isa: Isa, row: &mut [f32]) -> f32 {
    let largest = largest(row);
    #[expect(clippy::cast_possible_truncation, reason = "computed in f32")]
    let sum = exponentiate(isa, row, largest, 1.0).ln() as f32;
    largest + sum
}

pub(super) fn largest(row: &[f32]) -> f32 {
    row.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The values of a contiguous tensor.
pub(super) fn values<'a, T>(values: &'a [T], layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("a fused loss needs contiguous values"),
    }
}

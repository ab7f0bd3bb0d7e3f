//! Cross entropy towards a fixed distribution.

use candle_core::{CpuStorage, CustomOp2, D, DType, Layout, Result, Shape, Tensor, bail};
use candle_nn::ops;
use model::kernels::Isa;
use model::kernels::elementwise::exponentiate;
use rayon::prelude::*;

use super::likelihood::{largest, log_sum, values};

/// `-sum_v q_v log softmax(logits)_v` for each row: logits (N, V) and probabilities `q` (N, V) give
/// (N). Gradients flow to the logits alone; each row of `q` sums to 1.
///
/// # Errors
/// candle's, if shapes do not fit.
pub fn cross_entropy(logits: &Tensor, q: &Tensor) -> Result<Tensor> {
    let q = q.detach();
    if logits.device().is_cpu() && logits.dtype() == DType::F32 {
        return logits.contiguous()?.apply_op2(&q.contiguous()?, CrossEntropy);
    }
    let log_p = ops::log_softmax(logits, D::Minus1)?;
    (log_p * q)?.sum(D::Minus1)?.neg()
}

/// `-sum q log q` for each row of (N, V), in nats: what cross entropy cannot fall below.
///
/// # Errors
/// candle's.
pub fn entropy(q: &Tensor) -> Result<Tensor> {
    // 0 log 0 is 0.
    let logarithm = q.clamp(1e-30, 1.0)?.log()?;
    (q * logarithm)?.sum(D::Minus1)?.neg()
}

struct CrossEntropy;

impl CustomOp2 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        layout: &Layout,
        q: &CpuStorage,
        q_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        if q_layout.shape() != layout.shape() {
            bail!("logits and probabilities differ in shape");
        }
        let logits = values(logits.as_slice::<f32>()?, layout)?;
        let q = values(q.as_slice::<f32>()?, q_layout)?;
        let isa = Isa::detect();
        let loss = |(logits, q): (&[f32], &[f32])| {
            let expected: f64 =
                logits.iter().zip(q).map(|(z, q)| f64::from(*z) * f64::from(*q)).sum();
            #[expect(clippy::cast_possible_truncation, reason = "given in f32")]
            let loss = (f64::from(log_sum(isa, &mut logits.to_vec())) - expected) as f32;
            loss
        };
        let chunks = logits.par_chunks_exact(width).zip(q.par_chunks_exact(width));
        Ok((CpuStorage::F32(chunks.map(loss).collect()), rows.into()))
    }

    /// `(softmax(logits) - q) * g`.
    fn bwd(
        &self,
        logits: &Tensor,
        q: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, width) = logits.dims2()?;
        let mut out: Vec<f32> = logits.flatten_all()?.to_vec1()?;
        let q: Vec<f32> = q.flatten_all()?.to_vec1()?;
        let gradient = gradient.to_vec1::<f32>()?;
        let isa = Isa::detect();
        out.par_chunks_exact_mut(width).zip(q.par_chunks_exact(width)).zip(gradient).for_each(
            |((row, q), gradient)| {
                let largest = largest(row);
                let sum = exponentiate(isa, row, largest, 1.0);
                #[expect(clippy::cast_possible_truncation, reason = "computed in f32")]
                let inverse = (1.0 / sum) as f32;
                for (value, q) in row.iter_mut().zip(q) {
                    *value = (*value * inverse - q) * gradient;
                }
            },
        );
        Ok((Some(Tensor::from_vec(out, (rows, width), logits.device())?), None))
    }
}

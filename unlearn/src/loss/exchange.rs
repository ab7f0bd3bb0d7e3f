//! Reading the logits of a swapped text in the words of the original.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::columns;
use super::likelihood::values;

/// Exchanges columns of `logits` (N, V): row by row, the two columns of each pair of `exchanges`
/// (N lists) change places, each column at most once in a row.
///
/// # Errors
/// candle's, if shapes do not fit or a column is outside the vocabulary.
pub fn exchange(logits: &Tensor, exchanges: Vec<Vec<(u32, u32)>>) -> Result<Tensor> {
    let named = exchanges.iter().flatten().flat_map(|(one, two)| [*one, *two]);
    let (rows, width) = columns::shape(logits, exchanges.len(), named)?;
    if logits.device().is_cpu() && logits.dtype() == DType::F32 {
        return logits.contiguous()?.apply_op1(Exchange(exchanges));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a vocabulary")]
    let mut columns: Vec<Vec<u32>> = vec![(0..width as u32).collect(); rows];
    for (columns, exchanges) in columns.iter_mut().zip(exchanges) {
        for (one, two) in exchanges {
            columns.swap(one as usize, two as usize);
        }
    }
    logits.gather(&Tensor::new(columns, logits.device())?, 1)
}

#[derive(Clone)]
struct Exchange(Vec<Vec<(u32, u32)>>);

impl CustomOp1 for Exchange {
    fn name(&self) -> &'static str {
        "exchange"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        let mut out = values(logits.as_slice::<f32>()?, layout)?.to_vec();
        out.par_chunks_exact_mut(width).zip(&self.0).for_each(|(row, exchanges)| {
            for &(one, two) in exchanges {
                row.swap(one as usize, two as usize);
            }
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    /// An exchange is its own inverse and its own transpose.
    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        gradient.contiguous()?.apply_op1_no_bwd(self).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn columns_change_places_forward_and_back() {
        let values: Vec<f32> = (0..8).map(|i| i as f32).collect();
        let logits = Var::from_vec(values.clone(), (2, 4), &Device::Cpu).unwrap();
        let exchanged = exchange(&logits, vec![vec![(0, 3)], vec![(1, 2)]]).unwrap();
        let got: Vec<Vec<f32>> = exchanged.to_vec2().unwrap();
        assert_eq!(got, [[3.0, 1.0, 2.0, 0.0], [4.0, 6.0, 5.0, 7.0]]);
        // The gradient of sum(exchanged * values) is the values, exchanged.
        let weights = Tensor::from_vec(values, (2, 4), &Device::Cpu).unwrap();
        let gradients = (exchanged * weights).unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(gradients.get(&logits).unwrap().to_vec2::<f32>().unwrap(), got);
        for bad in [vec![vec![]], vec![vec![(0, 4)], vec![]]] {
            assert!(exchange(&logits, bad).is_err());
        }
    }
}

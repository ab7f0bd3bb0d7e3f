//! What the fused operations share: contiguous f32 values in, rows in parallel out.

use candle_core::{CpuStorage, DType, Layout, Result, Tensor, bail};
use rayon::prelude::*;

/// Values that one task makes, so that a task is worth its start.
const TASK: usize = 16_384;

/// Whether the fused operations can take a tensor; others go candle's way, step by step.
pub(super) fn takes(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// The values of a contiguous f32 tensor.
pub(super) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("a fused operation needs contiguous values"),
    }
}

/// Makes rows of `width` values: `make(row, values)` fills each, on all threads.
pub(super) fn rows(
    count: usize,
    width: usize,
    make: impl Fn(usize, &mut [f32]) + Sync,
) -> CpuStorage {
    let mut out = vec![0.0; count * width];
    let task = TASK.checked_div(width).unwrap_or(0).max(1);
    let fill = |(index, rows): (usize, &mut [f32])| {
        for (row, values) in rows.chunks_exact_mut(width).enumerate() {
            make(index * task + row, values);
        }
    };
    if !out.is_empty() {
        out.par_chunks_mut(task * width).enumerate().for_each(fill);
    }
    CpuStorage::F32(out)
}

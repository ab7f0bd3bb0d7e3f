//! The stacked delta: for each row of a batch, the exact weighted sum of that row's adapters.
//!
//! `y += sum over the row's adapters of scale * (alpha / r) * B A x`, in canonical order. Any mix
//! of adapters, ranks and scales can share a batch; a row without adapters is not touched, so it
//! keeps the base's bits.

use std::ops::Range;

use model::kernels::low_rank::Update;
use model::{RowDelta, Site};

use crate::{AdapterVector, Kind};

/// The adapters of a batch, for the decoder's delta slots.
#[derive(Debug, Default)]
pub struct StackedDelta {
    /// Rows that have adapters, and which; all others are the base's.
    spans: Vec<(Range<usize>, AdapterVector)>,
}

impl StackedDelta {
    /// Gives `rows` the adapters of `vector`.
    pub fn add_rows(&mut self, rows: Range<usize>, vector: &AdapterVector) {
        if !vector.is_empty() && !rows.is_empty() {
            self.spans.push((rows, vector.clone()));
        }
    }
}

impl RowDelta for StackedDelta {
    fn updates(&self, site: Site) -> Vec<Update<'_>> {
        let applied = self.spans.iter().flat_map(|(rows, vector)| {
            vector.entries().iter().map(move |applied| (rows.clone(), applied))
        });
        applied
            .filter_map(|(rows, applied)| {
                let Kind::Lora(lora) = &applied.lease.adapter().kind;
                let low_rank = lora.site(site)?;
                let scale = applied.scale * low_rank.scaling;
                Some(Update { rows, factors: &low_rank.factors, scale })
            })
            .collect()
    }
}

//! The stacked delta: for each row of a batch, the exact weighted sum of that row's adapters.
//!
//! `y += sum over the row's adapters of scale * (alpha / r) * B A x`, in canonical order. Any mix
//! of adapters, ranks and scales can share a batch; a row without adapters is not touched, so it
//! keeps the base's bits.

use std::ops::Range;
use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use model::kernels::Isa;
use model::kernels::low_rank::{self, Factors, Update};
use model::kernels::pool::Pool;
use model::{Delta, ModelError, Rows, Site};

use crate::{AdapterVector, Kind};

/// The adapters of a batch, for the decoder's delta slots.
#[derive(Debug)]
pub struct StackedDelta {
    pool: Arc<Pool>,
    isa: Isa,
    /// Rows that have adapters, and which.
    spans: Vec<(Range<usize>, AdapterVector)>,
}

impl StackedDelta {
    /// An empty stack; rows that are never added are the base's.
    #[must_use]
    pub fn new(pool: Arc<Pool>) -> Self {
        Self { pool, isa: Isa::detect(), spans: Vec::new() }
    }

    /// Gives `rows` the adapters of `vector`.
    pub fn add_rows(&mut self, rows: Range<usize>, vector: &AdapterVector) {
        if !vector.is_empty() && !rows.is_empty() {
            self.spans.push((rows, vector.clone()));
        }
    }

    /// What the stack does at `site`.
    fn updates(&self, site: Site) -> Vec<Update<'_>> {
        let applied = self.spans.iter().flat_map(|(rows, vector)| {
            vector.entries().iter().map(move |applied| (rows.clone(), applied))
        });
        applied
            .filter_map(|(rows, applied)| {
                let Kind::Lora(lora) = &applied.lease.adapter().kind;
                let low_rank = lora.site(site)?;
                let factors = Factors {
                    a: low_rank.a.reinterpret_cast(),
                    b_transposed: low_rank.b_transposed.reinterpret_cast(),
                    rank: low_rank.rank,
                };
                Some(Update { rows, factors, scale: applied.scale * low_rank.scaling })
            })
            .collect()
    }
}

impl Delta<Rows> for StackedDelta {
    fn add(&self, site: Site, x: &Rows, y: &mut Rows) -> Result<(), ModelError> {
        if self.spans.is_empty() {
            return Ok(());
        }
        let updates = self.updates(site);
        if updates.is_empty() {
            return Ok(());
        }
        for update in &updates {
            fits(site, "factor A", update.factors.a.len(), update.factors.rank * x.width())?;
            fits(
                site,
                "factor B",
                update.factors.b_transposed.len(),
                update.factors.rank * y.width(),
            )?;
        }
        low_rank::add_rows(&self.pool, self.isa, &updates, x, y);
        Ok(())
    }
}

fn fits(site: Site, what: &'static str, found: usize, expected: usize) -> Result<(), ModelError> {
    if found == expected { Ok(()) } else { Err(ModelError::Shape { site, what, found, expected }) }
}

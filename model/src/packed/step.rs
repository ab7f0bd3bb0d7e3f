//! One forward pass.

use super::attention::attend_all;
use super::{PackedDecoder, Segment};
use crate::cache::KvCache;
use crate::decoder::{Backend, Norm};
use crate::kernels::elementwise;
use crate::kernels::input::Input;
use crate::kernels::linear::{add_linear, gated_linear, linear};
use crate::kernels::low_rank::{Factors, Update};
use crate::kernels::packed::PackedMatrix;
use crate::kernels::pool::Pool;
use crate::{ModelError, Projection, RowDelta, Rows, Site};

/// Where a row's token is in its sequence, and the sequence in the cache.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) position: usize,
    pub(super) table: &'a [u32],
}

pub(super) fn places<'a>(segment: &Segment<'a>) -> impl Iterator<Item = Place<'a>> + use<'a> {
    let (start, table) = (segment.start, segment.table);
    (start..start + segment.tokens.len()).map(move |position| Place { position, table })
}

/// What a pass has at hand.
pub(super) struct Step<'a> {
    pub(super) model: &'a PackedDecoder,
    pub(super) delta: &'a dyn RowDelta,
    pub(super) cache: &'a mut KvCache,
    pub(super) places: &'a [Place<'a>],
}

impl Backend for Step<'_> {
    type Rows = Rows;

    fn norm(&mut self, norm: Norm, x: &Rows) -> Result<Rows, ModelError> {
        let (weight, epsilon) = self.norm_of(norm);
        let mut out = Rows::unset(x.len(), x.width());
        let piece = self.pool().piece(x.len()) * x.width();
        let pieces = x.values().chunks(piece).zip(out.values_mut().chunks_mut(piece));
        let isa = self.model.isa;
        self.pool().each(pieces, |(x, out)| elementwise::rms_norm(isa, x, weight, epsilon, out));
        Ok(out)
    }

    fn attention_inputs(&mut self, layer: usize, x: &Rows) -> Result<[Rows; 3], ModelError> {
        let sites = [Projection::Query, Projection::Key, Projection::Value]
            .map(|projection| Site::new(layer, projection));
        let (weight, epsilon) = self.norm_of(Norm::Attention(layer));
        let x = Input::Normalised { x, weight, epsilon };
        let (matrices, updates) = self.weights(sites)?;
        let updates = updates.each_ref().map(Vec::as_slice);
        Ok(linear(self.pool(), self.model.isa, matrices, updates, x))
    }

    fn attend(&mut self, layer: usize, qkv: [Rows; 3]) -> Result<Rows, ModelError> {
        let Self { model, places, .. } = *self;
        Ok(attend_all(model, self.cache, places, layer, qkv))
    }

    fn hidden_units(&mut self, layer: usize, x: &Rows) -> Result<Rows, ModelError> {
        let sites = [Projection::Gate, Projection::Up].map(|p| Site::new(layer, p));
        let (weight, epsilon) = self.norm_of(Norm::Mlp(layer));
        let x = Input::Normalised { x, weight, epsilon };
        let (matrices, updates) = self.weights(sites)?;
        let updates = updates.each_ref().map(Vec::as_slice);
        Ok(gated_linear(self.pool(), self.model.isa, matrices, updates, x))
    }

    fn add_projection(&mut self, site: Site, from: &Rows, x: &mut Rows) -> Result<(), ModelError> {
        let ([matrix], [updates]) = self.weights([site])?;
        add_linear(self.pool(), self.model.isa, matrix, &updates, Input::Plain(from), x);
        Ok(())
    }
}

impl<'a> Step<'a> {
    fn pool(&self) -> &'a Pool {
        &self.model.pool
    }

    /// Weight and epsilon of a norm.
    fn norm_of(&self, norm: Norm) -> (&'a [f32], f32) {
        let weight = match norm {
            Norm::Attention(layer) => &self.model.layers[layer].attention_norm,
            Norm::Mlp(layer) => &self.model.layers[layer].mlp_norm,
            Norm::Final => &self.model.final_norm,
        };
        #[expect(clippy::cast_possible_truncation, reason = "a small constant")]
        let epsilon = self.model.config.norm_epsilon as f32;
        (weight, epsilon)
    }

    /// Matrices and updates of some sites.
    fn weights<const N: usize>(
        &self,
        sites: [Site; N],
    ) -> Result<([&'a PackedMatrix; N], [Vec<Update<'a>>; N]), ModelError> {
        let model = self.model;
        let matrices =
            sites.map(|site| &model.layers[site.layer].linears[site.projection as usize]);
        let updates = sites.map(|site| self.delta.updates(site));
        for ((site, matrix), updates) in sites.iter().zip(matrices).zip(&updates) {
            updates.iter().try_for_each(|update| fits(*site, matrix, update.factors))?;
        }
        Ok((matrices, updates))
    }
}

/// Whether an update has the widths of its site.
fn fits(site: Site, matrix: &PackedMatrix, factors: &Factors) -> Result<(), ModelError> {
    let widths = [
        ("factor A", factors.inputs(), matrix.inputs()),
        ("factor B", factors.outputs(), matrix.outputs()),
    ];
    match widths.into_iter().find(|(_, found, expected)| found != expected) {
        Some((what, found, expected)) => Err(ModelError::Shape { site, what, found, expected }),
        None => Ok(()),
    }
}

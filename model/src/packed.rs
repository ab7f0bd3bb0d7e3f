//! The decoder on the CPU kernels: packed weights, paged cache, ragged batches.
//!
//! **Invariant:** a token's hidden state depends on its sequence alone, bit for bit: not on the
//! other rows of the batch, nor on how the sequence was cut into steps, nor on the thread count.

use std::ops::Range;
use std::sync::Arc;

use crate::cache::{BLOCK_TOKENS, KvCache};
use crate::checkpoint::{Checkpoint, CheckpointError, Weight};
use crate::decoder::{self, Backend, Norm};
use crate::kernels::attention::{self, Past};
use crate::kernels::disjoint::DisjointRows;
use crate::kernels::elementwise::{self, Rotation};
use crate::kernels::linear::linear;
use crate::kernels::low_rank::Factors;
use crate::kernels::packed::{PackedMatrix, Precision};
use crate::kernels::pool::{Pool, share};
use crate::kernels::scratch::Scratch;
use crate::kernels::{Isa, lanes};
use crate::{Config, ModelError, Projection, RowDelta, Rows, Site};

/// How weights are held while serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServedPrecision {
    /// As in the file where the kernels have its format, else rounded to 8 bits.
    #[default]
    Auto,
    /// Unrounded, at four times the memory of 8 bits.
    F32,
}

/// The weights of a decoder, packed for the kernels.
#[derive(Debug)]
pub struct PackedDecoder {
    config: Config,
    isa: Isa,
    pool: Arc<Pool>,
    rotation: Rotation,
    embedding: PackedMatrix,
    /// `None` where the embedding is the head.
    head: Option<PackedMatrix>,
    final_norm: Vec<f32>,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Vec<f32>,
    mlp_norm: Vec<f32>,
    /// In the order of [`Projection::ALL`].
    linears: Vec<PackedMatrix>,
}

/// Consecutive tokens of one sequence, to be computed in one step.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// The tokens.
    pub tokens: &'a [u32],
    /// The position of the first of them.
    pub start: usize,
    /// Numbers of the sequence's cache blocks, enough for `start + tokens.len()` tokens.
    pub table: &'a [u32],
}

impl PackedDecoder {
    /// Reads and packs all weights.
    ///
    /// # Errors
    /// [`CheckpointError`] if a weight is missing or has the wrong shape.
    pub fn load(
        checkpoint: &dyn Checkpoint,
        precision: ServedPrecision,
        pool: Arc<Pool>,
    ) -> Result<Self, CheckpointError> {
        let config = checkpoint.config().clone();
        let matrix = |weight| pack(checkpoint, weight, precision);
        let vector = |weight| -> Result<Vec<f32>, CheckpointError> {
            Ok(checkpoint.dense(weight)?.to_vec1()?)
        };
        let layers = (0..config.layers)
            .map(|layer| {
                Ok(Layer {
                    attention_norm: vector(Weight::AttentionNorm(layer))?,
                    mlp_norm: vector(Weight::MlpNorm(layer))?,
                    linears: Projection::ALL
                        .into_iter()
                        .map(|p| matrix(Weight::Linear(Site::new(layer, p))))
                        .collect::<Result<_, CheckpointError>>()?,
                })
            })
            .collect::<Result<_, CheckpointError>>()?;
        Ok(Self {
            isa: Isa::detect(),
            pool,
            rotation: Rotation::new(config.rope_theta, config.head_dim, config.context_tokens),
            embedding: matrix(Weight::Embedding)?,
            head: checkpoint.has_head().then(|| matrix(Weight::Head)).transpose()?,
            final_norm: vector(Weight::FinalNorm)?,
            layers,
            config,
        })
    }

    /// The hyper-parameters.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The threads that the kernels share.
    #[must_use]
    pub const fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Memory of the packed matrices.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let linears = self.layers.iter().flat_map(|l| &l.linears);
        let all = linears.chain([&self.embedding]).chain(&self.head);
        all.map(PackedMatrix::bytes).sum()
    }

    /// Computes the segments in one step and stores their keys and values in `cache`.
    /// The result has a row of hidden states, after the final norm, for each token, in order.
    ///
    /// # Errors
    /// [`ModelError::Token`] for a token outside the vocabulary; nothing was stored then.
    /// [`ModelError::Shape`] if an update of `delta` does not fit its site.
    ///
    /// # Panics
    /// If a segment ends beyond the context or its table.
    pub fn hidden(
        &self,
        cache: &mut KvCache,
        segments: &[Segment<'_>],
        delta: &dyn RowDelta,
    ) -> Result<Rows, ModelError> {
        let places: Vec<Place<'_>> = segments.iter().flat_map(places).collect();
        let mut x = Rows::unset(places.len(), self.config.hidden);
        let tokens = segments.iter().flat_map(|s| s.tokens);
        for (row, &token) in tokens.enumerate() {
            if token as usize >= self.config.vocabulary {
                return Err(ModelError::Token(token));
            }
            self.embedding.unpack(token as usize, x.row_mut(row));
        }
        let mut step = Step { model: self, delta, cache, places: &places };
        decoder::forward(&mut step, self.config.layers, x)
    }

    /// Logits (rows, vocabulary) of hidden states (rows, hidden).
    #[must_use]
    pub fn logits(&self, hidden: &Rows) -> Rows {
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        let [logits] = linear(&self.pool, self.isa, [head], [&[]], hidden);
        logits
    }
}

fn pack(
    checkpoint: &dyn Checkpoint,
    weight: Weight,
    precision: ServedPrecision,
) -> Result<PackedMatrix, CheckpointError> {
    let rounded = match precision {
        ServedPrecision::F32 => Precision::F32,
        ServedPrecision::Auto => match checkpoint.packed(weight)? {
            Some(matrix) => return Ok(matrix),
            None => Precision::Int8,
        },
    };
    let dense = checkpoint.dense(weight)?;
    let shape = dense.dims2()?;
    Ok(PackedMatrix::from_values(rounded, shape, &dense.flatten_all()?.to_vec1::<f32>()?))
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

/// Where a row's token is in its sequence, and the sequence in the cache.
#[derive(Clone, Copy)]
struct Place<'a> {
    position: usize,
    table: &'a [u32],
}

fn places<'a>(segment: &Segment<'a>) -> impl Iterator<Item = Place<'a>> + use<'a> {
    let (start, table) = (segment.start, segment.table);
    (start..start + segment.tokens.len()).map(move |position| Place { position, table })
}

/// One forward pass.
struct Step<'a> {
    model: &'a PackedDecoder,
    delta: &'a dyn RowDelta,
    cache: &'a mut KvCache,
    places: &'a [Place<'a>],
}

impl Backend for Step<'_> {
    type Rows = Rows;

    fn norm(&mut self, norm: Norm, x: &Rows) -> Result<Rows, ModelError> {
        let weight = match norm {
            Norm::Attention(layer) => &self.model.layers[layer].attention_norm,
            Norm::Mlp(layer) => &self.model.layers[layer].mlp_norm,
            Norm::Final => &self.model.final_norm,
        };
        let mut out = Rows::unset(x.len(), x.width());
        #[expect(clippy::cast_possible_truncation, reason = "a small constant")]
        let epsilon = self.model.config.norm_epsilon as f32;
        let (pool, isa) = (&self.model.pool, self.model.isa);
        let piece = pool.piece(x.len()) * x.width();
        let pieces = x.values().chunks(piece).zip(out.values_mut().chunks_mut(piece));
        pool.each(pieces, |(x, out)| elementwise::rms_norm(isa, x, weight, epsilon, out));
        Ok(out)
    }

    fn project<const N: usize>(
        &mut self,
        layer: usize,
        projections: [Projection; N],
        x: &Rows,
    ) -> Result<[Rows; N], ModelError> {
        let linears = &self.model.layers[layer].linears;
        let matrices = projections.map(|p| &linears[p as usize]);
        let updates = projections.map(|p| self.delta.updates(Site::new(layer, p)));
        for ((projection, matrix), updates) in projections.iter().zip(matrices).zip(&updates) {
            let site = Site::new(layer, *projection);
            updates.iter().try_for_each(|update| fits(site, matrix, update.factors))?;
        }
        let updates = updates.each_ref().map(Vec::as_slice);
        Ok(linear(&self.model.pool, self.model.isa, matrices, updates, x))
    }

    fn attend(
        &mut self,
        layer: usize,
        mut q: Rows,
        mut k: Rows,
        v: Rows,
    ) -> Result<Rows, ModelError> {
        self.rotate(&mut q);
        self.rotate(&mut k);
        self.remember(layer, &k, &v);
        Ok(self.attend_all(layer, &q))
    }

    fn gate(&mut self, mut gate: Rows, up: Rows) -> Result<Rows, ModelError> {
        self.pairwise(&mut gate, &up, elementwise::gate);
        Ok(gate)
    }

    fn add(&mut self, x: &mut Rows, y: Rows) -> Result<(), ModelError> {
        self.pairwise(x, &y, elementwise::add);
        Ok(())
    }
}

impl Step<'_> {
    /// Rotates every row to its token's position.
    fn rotate(&self, x: &mut Rows) {
        let (pool, width) = (&self.model.pool, x.width());
        let rows = pool.piece(x.len());
        let pieces = x.values_mut().chunks_mut(rows * width).zip(self.places.chunks(rows));
        pool.each(pieces, |(x, places)| {
            for (row, place) in x.chunks_exact_mut(width).zip(places) {
                self.model.rotation.apply(self.model.isa, row, place.position);
            }
        });
    }

    /// Stores every row's key and value in the cache.
    fn remember(&mut self, layer: usize, k: &Rows, v: &Rows) {
        let [keys, values] = [k, v].map(|rows| {
            let mut half = Scratch::any(rows.values().len());
            elementwise::halve(self.model.isa, rows.values(), &mut half);
            half
        });
        let rows = keys.chunks_exact(k.width()).zip(values.chunks_exact(v.width()));
        for (place, (k, v)) in self.places.iter().zip(rows) {
            let block = place.table[place.position / BLOCK_TOKENS] as usize;
            self.cache.store(layer, (block, place.position % BLOCK_TOKENS), k, v);
        }
    }

    /// `work` on the values of `x` and `y`, which have the same shape.
    fn pairwise(&self, x: &mut Rows, y: &Rows, work: fn(Isa, &mut [f32], &[f32])) {
        let (pool, isa) = (&self.model.pool, self.model.isa);
        let piece = pool.piece(x.len()) * x.width();
        let pieces = x.values_mut().chunks_mut(piece).zip(y.values().chunks(piece));
        pool.each(pieces, |(x, y)| work(isa, x, y));
    }

    /// Attention of every row and head, shared out to the pool.
    #[expect(
        unsafe_code,
        reason = "writes the columns of one row and some heads, which no other task has"
    )]
    fn attend_all(&self, layer: usize, q: &Rows) -> Rows {
        let Config { kv_heads, head_dim, heads, .. } = self.model.config;
        let mut out = Rows::unset(q.len(), heads * head_dim);
        let view = DisjointRows::new(out.values_mut(), heads * head_dim);
        let (pool, isa) = (&self.model.pool, self.model.isa);
        let tasks = HeadTasks { rows: q.len(), heads, group: heads / kv_heads };
        pool.run(&|part| {
            let mut scores: Vec<lanes::Lanes> = Vec::new();
            for (row, heads) in tasks.of(part, pool.parts()) {
                let place = self.places[row];
                let past = Past {
                    cache: self.cache,
                    layer,
                    kv_head: heads.start / tasks.group,
                    table: place.table,
                    tokens: place.position + 1,
                };
                let columns = heads.start * head_dim..heads.end * head_dim;
                // SAFETY: a task is some heads of one row, and each runs once.
                let target = unsafe { view.columns(row, columns.clone()) };
                attention::attend(isa, past, &q.row(row)[columns], target, &mut scores);
            }
        });
        out
    }
}

/// How attention is shared out. Heads of a group share the reading of keys and values.
#[derive(Clone, Copy)]
struct HeadTasks {
    rows: usize,
    heads: usize,
    /// Heads that share a key head.
    group: usize,
}

impl HeadTasks {
    /// Groups a part of the pool from which on they share out evenly enough.
    const EVEN: usize = 4;

    /// A part's rows and heads, heads of one group at a time.
    fn of(self, part: usize, parts: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        let Self { rows, heads, group } = self;
        let groups = rows * heads / group;
        // Later rows of a prompt see more, so the parts take turns; few groups are cut.
        let (cut, first, step) = match groups < Self::EVEN * parts {
            true => (share(rows * heads, part, parts), 0, 1),
            false => (0..rows * heads, part, parts),
        };
        (first..groups).step_by(step).filter_map(move |number| {
            let start = (number * group).max(cut.start);
            let end = ((number + 1) * group).min(cut.end);
            (start < end).then(|| (start / heads, start % heads..(end - 1) % heads + 1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_head_of_every_row_is_in_one_task_of_its_group() {
        for (rows, heads, group, parts) in [(1, 9, 3, 2), (2, 8, 4, 3), (40, 9, 3, 2), (1, 2, 2, 4)]
        {
            let tasks = HeadTasks { rows, heads, group };
            let mut times = vec![0; rows * heads];
            for (row, own) in (0..parts).flat_map(|part| tasks.of(part, parts)) {
                assert!(own.start / group == (own.end - 1) / group && own.end <= heads);
                own.for_each(|head| times[row * heads + head] += 1);
            }
            assert!(times.iter().all(|times| *times == 1), "{rows} {heads} {group} {parts}");
        }
    }
}

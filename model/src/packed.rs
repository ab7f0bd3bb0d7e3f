//! The decoder on the CPU kernels: packed weights, paged cache, ragged batches.
//!
//! **Invariant:** a token's hidden state depends on its sequence alone, bit for bit: not on the
//! other rows of the batch, nor on how the sequence was cut into steps, nor on the thread count.

mod attention;
mod heads;
mod step;

use std::sync::Arc;

use self::step::{Step, places};
use crate::cache::KvCache;
use crate::checkpoint::{Checkpoint, CheckpointError, Weight};
use crate::decoder;
use crate::kernels::Isa;
use crate::kernels::elementwise::Rotation;
use crate::kernels::input::Input;
use crate::kernels::linear::linear;
use crate::kernels::packed::{PackedMatrix, Precision};
use crate::kernels::pool::Pool;
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
        let places: Vec<_> = segments.iter().flat_map(places).collect();
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
        let [logits] = linear(&self.pool, self.isa, [head], [&[]], Input::Plain(hidden));
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

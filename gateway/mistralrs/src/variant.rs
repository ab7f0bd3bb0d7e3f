//! Variants: the base with an adapter set folded into its weights, as a model of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use adapters::lora::Lora;
use adapters::merge::Merged;
use adapters::{AdapterVector, Digest, Kind};
use mistralrs_core::MistralRs;
use model::checkpoint::Checkpoint;
use model::{Config, Model, Projection, ServedPrecision, export};
use tokio::sync::Semaphore;

use crate::load::{self, ROWS};
use crate::pool::{BuildError, Workshop};
use crate::scratch::Scratch;

/// A model in mistral.rs.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    /// Its name there.
    pub(crate) id: String,
    /// One permit for each sequence that it computes at a time.
    pub(crate) places: Arc<Semaphore>,
}

impl Variant {
    pub(crate) fn new(id: String) -> Self {
        Self { id, places: Arc::new(Semaphore::new(ROWS)) }
    }
}

/// Builds variants of one base.
pub(crate) struct Merging {
    pub(crate) mistral: Arc<MistralRs>,
    pub(crate) model: Arc<Model>,
    pub(crate) scratch: Scratch,
    pub(crate) precision: ServedPrecision,
    pub(crate) built: AtomicU64,
}

impl Merging {
    /// The identity of the variant for `adapters`: everything that its weights depend on.
    pub(crate) fn key(&self, adapters: &AdapterVector) -> Digest {
        let mut parts = vec![self.model.fingerprint().as_bytes().to_vec()];
        for applied in adapters.entries() {
            parts.push(applied.lease.digest().as_bytes().to_vec());
            parts.push(applied.scale.to_bits().to_le_bytes().to_vec());
        }
        Digest::of(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

impl Workshop for Merging {
    type Recipe = AdapterVector;
    type Variant = Variant;

    fn build(&self, key: Digest, adapters: &AdapterVector) -> Result<Variant, BuildError> {
        let loras: Vec<(Lora, f32)> = adapters
            .entries()
            .iter()
            .map(|applied| {
                let Kind::Lora(lora) = &applied.lease.adapter().kind;
                (lora.unpack(), applied.scale)
            })
            .collect();
        let loras: Vec<(&Lora, f32)> = loras.iter().map(|(lora, scale)| (lora, *scale)).collect();
        let merged = Merged::new(self.model.checkpoint(), &loras);
        let name = key.prefix(8);
        let id = format!("{name}-{}", self.built.fetch_add(1, Ordering::Relaxed));
        through_disk(&self.scratch, &name, &self.model, &merged, |folder| {
            let pipeline = load::load_folder(folder, &self.scratch, self.precision);
            let pipeline = pipeline.map_err(BuildError::Load)?;
            load::add(&self.mistral, &id, pipeline).map_err(BuildError::Load)
        })?;
        tracing::info!(variant = id, adapters = adapters.set_name(), "variant loaded");
        Ok(Variant::new(id))
    }

    fn unload(&self, variant: &Variant) {
        match self.mistral.remove_model(&variant.id) {
            Ok(()) => tracing::info!(variant = variant.id, "variant unloaded"),
            Err(error) => tracing::error!(variant = variant.id, error, "a variant stays loaded"),
        }
    }
}

/// Writes `weights` as a folder, has `load` load it, and removes it, whatever becomes of it.
pub(crate) fn through_disk<T>(
    scratch: &Scratch,
    name: &str,
    model: &Model,
    weights: &dyn Checkpoint,
    load: impl FnOnce(&Path) -> Result<T, BuildError>,
) -> Result<T, BuildError> {
    let folder = scratch.folder(name).map_err(|e| BuildError::Merge(e.to_string()))?;
    let out = folder.path().join("model");
    export::write_folder(model, weights, &out, &mut || ())
        .map_err(|e| BuildError::Merge(e.to_string()))?;
    model.checkpoint().release();
    load(&out)
}

/// What mistral.rs holds for each token of the vocabulary beside the weights: tokenizers, and a trie
/// of the tokens. Measured: 50 to 95 MB for 49,152 tokens.
const TOKEN_BYTES: u64 = 2_048;

/// Bytes that a loaded variant holds.
///
/// Linear layers are held in f32, or as Q8_0, which takes 34 bytes for 32 weights; the embedding
/// is always held in f32, and a head that is the embedding is a matrix of its own in Q8_0.
pub(crate) fn bytes(config: &Config, has_head: bool, precision: ServedPrecision) -> u64 {
    let matrix = |(inputs, outputs): (usize, usize)| (inputs * outputs) as u64;
    let layer: u64 = Projection::ALL.iter().map(|p| matrix(config.shape(*p))).sum();
    let (linear, embedding) =
        (layer * config.layers as u64, matrix((config.hidden, config.vocabulary)));
    let weights = match precision {
        ServedPrecision::F32 => 4 * (linear + embedding + if has_head { embedding } else { 0 }),
        ServedPrecision::Auto => (linear + embedding) * 34 / 32 + 4 * embedding,
    };
    weights + TOKEN_BYTES * config.vocabulary as u64
}

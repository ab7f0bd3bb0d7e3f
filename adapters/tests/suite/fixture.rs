//! Small seeded adapters, made to be spoilt.

use std::path::Path;

use adapters::{AdapterName, BaseModel, Catalogue, CatalogueSettings, Limits};
use model::ServedPrecision;
use serde_json::{Map, Value, json};

/// The base model that the adapters fit: two layers, hidden width 4.
pub(crate) const BASE: model::Config = model::Config {
    hidden: 4,
    intermediate: 6,
    layers: 2,
    heads: 2,
    kv_heads: 1,
    head_dim: 2,
    vocabulary: 8,
    context_tokens: 16,
    rope_theta: 10000.0,
    norm_epsilon: 1e-5,
};

pub(crate) const FINGERPRINT: &str =
    "sha256:00000000000000000000000000000000000000000000000000000000000000aa";

/// The two files of an adapter, before they are written.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) config: Map<String, Value>,
    pub(crate) tensors: Vec<Tensor>,
}

#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) key: String,
    pub(crate) dtype: &'static str,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Tensor {
    pub(crate) fn f32(key: &str, shape: [usize; 2], values: impl IntoIterator<Item = f32>) -> Self {
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        Self { key: key.to_owned(), dtype: "F32", shape: shape.to_vec(), bytes }
    }

    pub(crate) fn set(&mut self, index: usize, value: f32) {
        self.bytes[4 * index..][..4].copy_from_slice(&value.to_le_bytes());
    }
}

/// The key of one half (`A` or `B`) of a pair.
pub(crate) fn key(layer: usize, module: &str, half: char) -> String {
    format!("base_model.model.model.layers.{layer}.{module}.lora_{half}.weight")
}

impl Draft {
    /// Rank 2, alpha 4, on the queries and values of both layers.
    pub(crate) fn new(seed: u32) -> Self {
        let mut tensors = Vec::new();
        for layer in 0..BASE.layers {
            for (module, outputs) in [("self_attn.q_proj", 4), ("self_attn.v_proj", 2)] {
                let salt = seed + 10 * layer as u32 + outputs as u32;
                let a = Tensor::f32(&key(layer, module, 'A'), [2, 4], noise(salt, 8));
                let b =
                    Tensor::f32(&key(layer, module, 'B'), [outputs, 2], noise(!salt, 2 * outputs));
                tensors.extend([a, b]);
            }
        }
        let config = json!({
            "peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"],
        });
        let Value::Object(config) = config else { unreachable!("an object was written") };
        Self { config, tensors }
    }

    pub(crate) fn set(mut self, field: &str, value: Value) -> Self {
        self.config.insert(field.to_owned(), value);
        self
    }

    pub(crate) fn tensor(&mut self, key: &str) -> &mut Tensor {
        self.tensors.iter_mut().find(|t| t.key == key).expect("the draft has this tensor")
    }

    pub(crate) fn config(&self) -> Vec<u8> {
        serde_json::to_vec(&self.config).unwrap()
    }

    /// The weight file: tensors one after another.
    pub(crate) fn weights(&self) -> Vec<u8> {
        let mut data = Vec::new();
        let mut entries = Map::new();
        for tensor in &self.tensors {
            let start = data.len();
            data.extend(&tensor.bytes);
            let entry = json!({
                "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, data.len()],
            });
            entries.insert(tensor.key.clone(), entry);
        }
        weight_file(&Value::Object(entries).to_string(), &data)
    }

    pub(crate) fn parse(&self) -> Result<adapters::lora::Lora, adapters::lora::LoraError> {
        let limits = Limits::default();
        adapters::lora::Lora::parse(&self.config(), &self.weights(), &BASE, &limits)
    }

    pub(crate) fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("adapter_config.json"), self.config()).unwrap();
        std::fs::write(folder.join("adapter_model.safetensors"), self.weights()).unwrap();
    }
}

/// A weight file with this header, whatever it says.
pub(crate) fn weight_file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// Values in (-1, 1) that depend only on the seed.
pub(crate) fn noise(seed: u32, count: usize) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
    .take(count)
}

/// A card for an adapter made on the weights `fingerprint`.
pub(crate) fn card(fingerprint: &str) -> Value {
    json!({
        "schema": 1, "name": "gender", "kind": "lora", "domain": "gender",
        "created": "2026-11-24T00:00:00Z",
        "base": {"name": "tiny", "weights": fingerprint},
        "run": {"objective": "ascent", "steps": 3}, "seed": 0,
        "data": {"source": "redditbias/gender", "split": FINGERPRINT, "forget_items": 1, "retain_items": 2},
        "evaluation": [{
            "test": "stereoset", "domain": "gender", "metric": "ss", "base": 62.85, "adapter": 60.0,
            "delta": -2.85, "interval": [-3.5, -2.0], "items": 253, "seeds": 3,
        }],
    })
}

pub(crate) fn name(text: &str) -> AdapterName {
    AdapterName::parse(text).unwrap()
}

/// A catalogue over `root` without a state file.
pub(crate) fn catalogue(root: &Path) -> Catalogue {
    catalogue_within(root, Limits::default())
}

pub(crate) fn catalogue_within(root: &Path, limits: Limits) -> Catalogue {
    Catalogue::open(CatalogueSettings { root: root.to_owned(), state: None, limits }, base())
        .unwrap()
}

pub(crate) fn base() -> BaseModel {
    BaseModel {
        name: "tiny".to_owned(),
        fingerprint: FINGERPRINT.to_owned(),
        config: BASE,
        precision: ServedPrecision::Auto,
    }
}

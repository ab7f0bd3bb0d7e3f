//! The same logits as PEFT, whose values and the script that computed them are in
//! `tests/fixtures` and `tests/reference/peft_parity.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adapters::lora::Lora;
use adapters::merge::{Merged, concatenate};
use adapters::tensor_file::{Matrix, TensorFile};
use adapters::{Limits, TensorDelta};
use candle_core::{DType, Device, Tensor};
use model::checkpoint::Checkpoint;
use model::{Delta, DenseDecoder, Model};

/// The bound; measured distances are below 1e-5.
const TOLERANCE: f32 = 1e-4;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

struct Parity {
    model: Model,
    decoder: DenseDecoder,
    expected: BTreeMap<String, Matrix>,
}

impl Parity {
    fn new() -> Self {
        Self::of("tiny-llama")
    }

    fn of(model: &str) -> Self {
        let model = Model::open(&fixtures().join(model)).unwrap();
        let decoder = model.dense(DType::F32, &Device::Cpu).unwrap();
        let bytes = std::fs::read(fixtures().join("peft_logits.safetensors")).unwrap();
        let expected = TensorFile::parse(&bytes, 1 << 16).unwrap().into_matrices();
        Self { model, decoder, expected }
    }

    fn checkpoint(&self) -> &dyn Checkpoint {
        self.model.checkpoint()
    }

    fn adapter(&self, name: &str) -> Lora {
        let folder = fixtures().join("adapters").join(name);
        Lora::load(&folder, self.decoder.config(), &Limits::default()).unwrap()
    }

    /// The adapters of the weighted sum.
    fn weighted(&self) -> [(Lora, f32); 3] {
        [("one", 1.0), ("two", 0.5), ("three", -0.75)].map(|(n, scale)| (self.adapter(n), scale))
    }

    fn logits(&self, decoder: &DenseDecoder, delta: &dyn Delta<Tensor>) -> Vec<f32> {
        let tokens: Vec<_> = self.expected["tokens"].values.iter().map(|id| *id as u32).collect();
        let tokens = Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let hidden = decoder.hidden(&tokens, delta).unwrap();
        decoder
            .logits(&hidden.squeeze(0).unwrap())
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    }

    /// Holds the logits with `adapters` to PEFT's values of that `name`.
    fn hold(&self, name: &str, adapters: &[(&Lora, f32)]) {
        let delta = TensorDelta::new(adapters, &Device::Cpu).unwrap();
        self.compare(name, &self.logits(&self.decoder, &delta));
    }

    fn compare(&self, name: &str, logits: &[f32]) {
        let expected = &self.expected[name].values;
        assert_eq!(logits.len(), expected.len());
        let away = logits.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(away <= TOLERANCE, "{name} is {away} away");
    }
}

fn borrowed(adapters: &[(Lora, f32)]) -> Vec<(&Lora, f32)> {
    adapters.iter().map(|(lora, scale)| (lora, *scale)).collect()
}

#[test]
fn logits_of_the_base_are_those_of_transformers_from_both_formats() {
    for model in ["tiny-llama", "tiny-llama.gguf"] {
        Parity::of(model).hold("base", &[]);
    }
}

#[test]
fn one_adapter_gives_pefts_logits() {
    let parity = Parity::new();
    parity.hold("one", &[(&parity.adapter("one"), 1.0)]);
}

#[test]
fn a_negative_scale_gives_pefts_logits() {
    let parity = Parity::new();
    parity.hold("one_negative", &[(&parity.adapter("one"), -1.0)]);
}

#[test]
fn a_weighted_sum_of_mixed_ranks_and_alphas_gives_pefts_logits() {
    for model in ["tiny-llama", "tiny-llama.gguf"] {
        let parity = Parity::of(model);
        parity.hold("weighted", &borrowed(&parity.weighted()));
    }
}

#[test]
fn the_concatenation_of_a_weighted_sum_gives_pefts_logits() {
    let parity = Parity::new();
    let sum = concatenate(&borrowed(&parity.weighted())).unwrap();
    assert_eq!(sum.rank(), 4 + 8 + 2);
    parity.hold("weighted", &[(&sum, 1.0)]);
}

#[test]
fn the_merged_model_gives_pefts_logits() {
    let parity = Parity::new();
    let weighted = parity.weighted();
    let adapters = borrowed(&weighted);
    let merged = Merged::new(parity.checkpoint(), &adapters);
    let decoder = DenseDecoder::load(&merged, DType::F32, &Device::Cpu).unwrap();
    parity.compare("weighted", &parity.logits(&decoder, &model::NoDelta));
    assert_ne!(merged.fingerprint().unwrap(), parity.model.fingerprint());
}

#[test]
fn scale_0_gives_the_bases_bits() {
    let parity = Parity::new();
    let off = TensorDelta::new(&[(&parity.adapter("one"), 0.0)], &Device::Cpu).unwrap();
    let logits = parity.logits(&parity.decoder, &off);
    assert_eq!(logits, parity.logits(&parity.decoder, &model::NoDelta));
}

#[test]
fn what_peft_wrote_is_written_back_with_the_same_meaning() {
    let parity = Parity::new();
    for name in ["one", "two", "three"] {
        let folder = tempfile::tempdir().unwrap();
        let lora = parity.adapter(name);
        lora.save(folder.path(), parity.decoder.config()).unwrap();
        let again = Lora::load(folder.path(), parity.decoder.config(), &Limits::default());
        assert_eq!(again.unwrap(), lora);
    }
}

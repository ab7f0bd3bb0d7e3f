//! The fixtures, and copies of them to spoil.

use std::fs;
use std::path::{Path, PathBuf};

use gateway_toxicity::Category;
use gateway_toxicity::encoder::{
    CategoryHead, Description, Encoder, Group, Heads, Layer, WindowWords,
};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

/// What transformers computes.
#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) texts: Vec<String>,
    pub(crate) bert: Vec<Vec<f32>>,
    pub(crate) distilbert: Vec<Vec<f32>>,
    pub(crate) roberta: Vec<Vec<f32>>,
    pub(crate) sentence: Vec<Vec<f32>>,
}

impl Expected {
    pub(crate) fn load() -> Self {
        let bytes = fs::read(folder("expected.json")).expect("the fixture");
        serde_json::from_slice(&bytes).expect("the fixture's JSON")
    }

    pub(crate) fn texts(&self) -> Vec<&str> {
        self.texts.iter().map(String::as_str).collect()
    }
}

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/encoders").join(name)
}

/// A copy of a fixture.
pub(crate) struct Copy(TempDir);

impl Copy {
    pub(crate) fn of(name: &str) -> Self {
        let copy = tempfile::tempdir().expect("a folder");
        copy_all(&folder(name), copy.path());
        Self(copy)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path().join(file), bytes).expect("written");
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.path().join(file)).expect("a file")
    }

    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.path().join(file)).expect("a file");
    }

    /// Sets a field of a JSON file.
    pub(crate) fn set(&self, file: &str, field: &str, value: Value) {
        let mut json: Value = serde_json::from_slice(&self.read(file)).expect("JSON");
        json[field] = value;
        self.write(file, json.to_string());
    }
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).expect("a folder");
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// Type, shape and bytes of a tensor.
pub(crate) type Replacement = (Dtype, Vec<usize>, Vec<u8>);

/// A safetensors file with another tensor of that name, or without it.
pub(crate) fn replace(file: &[u8], name: &str, replacement: Option<&Replacement>) -> Vec<u8> {
    let file = SafeTensors::deserialize(file).expect("a sound file");
    let mut tensors = file.tensors();
    tensors.retain(|(other, _)| other != name);
    if let Some((dtype, shape, data)) = replacement {
        let view = TensorView::new(*dtype, shape.clone(), data).expect("a tensor");
        tensors.push((name.to_owned(), view));
    }
    serialize(tensors, None).expect("written")
}

pub(crate) fn close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }
}

pub(crate) fn sentence_encoder() -> Encoder {
    Encoder::open(&folder("sentence")).expect("the fixture")
}

/// Heads on the sentence encoder: a linear one, and two behind a hidden layer.
pub(crate) fn description(encoder: &str) -> Description {
    let number = |n| std::num::NonZeroUsize::new(n).expect("not zero");
    Description {
        schema: 1,
        name: "test-heads-1".into(),
        encoder: encoder.into(),
        width: 8,
        windows: WindowWords { words: number(12), stride: number(4) },
        groups: vec![
            Group {
                name: "harm".into(),
                hidden: None,
                categories: vec![CategoryHead::new(Category::Toxicity, 0.5, 1.0, 0.0)],
            },
            Group {
                name: "bias".into(),
                hidden: Some(3),
                categories: vec![
                    CategoryHead::new(Category::BiasGender, 0.25, 2.0, -1.0),
                    CategoryHead::new(Category::BiasRace, 0.75, 0.5, 0.125),
                ],
            },
        ],
    }
}

pub(crate) fn heads(encoder: &str) -> Heads {
    let ramp = |n: usize, step: f32| (0..n).map(|i| step * (i as f32 - n as f32 / 3.0)).collect();
    let layer = |inputs: usize, outputs: usize| Layer {
        weight: ramp(inputs * outputs, 0.03),
        bias: ramp(outputs, 0.5),
    };
    let layers = vec![(None, layer(8, 1)), (Some(layer(8, 3)), layer(3, 2))];
    Heads::new(description(encoder), ramp(8, 0.01), vec![0.5; 8], layers).expect("heads that fit")
}

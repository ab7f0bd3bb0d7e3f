//! The fixtures, and copies of them to spoil.

use std::fs;
use std::path::{Path, PathBuf};

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

//! The offline side from outside, on the tiny seeded model.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod battery;
mod corpus;
mod endpoint;
mod evaluation;
mod export;
mod generation;
mod gradients;
mod mask;
mod properties;
mod report;
mod scorer;
mod shipped;
mod training;

use std::path::{Path, PathBuf};

use adapters::Limits;
use adapters::lora::Lora;
use model::Model;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

fn open(name: &str) -> Model {
    Model::open(&fixtures().join(name)).unwrap()
}

fn adapter(name: &str, base: &model::Config) -> Lora {
    Lora::load(&fixtures().join("adapters").join(name), base, &Limits::default()).unwrap()
}

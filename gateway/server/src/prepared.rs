//! What every engine begins with: the model's files, and what adapters must fit.

use std::path::PathBuf;
use std::sync::Arc;

use adapters::BaseModel;
use anyhow::Context as _;
use gateway_engine::Engine;
use model::ServedPrecision;
use model::source::{FetchError, ModelSource, ModelStore};

use crate::settings::{Precision, Settings};

/// A model that was opened, and the engine that is to run it.
pub(crate) struct Prepared {
    /// What adapters must fit.
    pub(crate) base: BaseModel,
    pub(crate) start: Box<dyn FnOnce() -> anyhow::Result<Arc<dyn Engine>>>,
}

/// The model's file or folder, fetched if it is not there yet.
pub(crate) fn fetch(settings: &Settings) -> anyhow::Result<PathBuf> {
    let source: ModelSource = settings.model.parse().context("the setting 'model'")?;
    ModelStore::new(&settings.home).get(&source).map_err(with_hint)
}

pub(crate) const fn served(precision: Precision) -> ServedPrecision {
    match precision {
        Precision::Auto => ServedPrecision::Auto,
        Precision::F32 => ServedPrecision::F32,
    }
}

fn with_hint(error: FetchError) -> anyhow::Error {
    let hint = error.hint();
    anyhow::Error::new(error).context(format!("the model cannot be had ({hint})"))
}

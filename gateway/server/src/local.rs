//! What the program serves: a model in the local engine, and adapters from a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapters::{BaseModel, Catalogue, CatalogueSettings, Digest, Limits};
use anyhow::Context as _;
use gateway_engine::{LocalEngine, LocalSettings};
use gateway_toxicity::{FastScorer, Scorer, encoder};
use model::source::{FetchError, ModelSource, ModelStore};
use model::{Model, ServedPrecision};

use crate::gateway::Loaded;
use crate::settings::{EngineSettings, ModerationSettings, Precision, Settings};

/// Where adapters that come with the sources lie, from their root.
const SHIPPED: &str = "adapters/shipped";

/// Loads the model, fetching it if it is not there yet, then the adapters and the scorer.
///
/// # Errors
/// If the model cannot be had or served, or the adapter folder cannot be used. An adapter that
/// cannot be loaded is a line in the log.
pub fn load(settings: &Settings) -> anyhow::Result<Loaded> {
    let source: ModelSource = settings.model.parse().context("the setting 'model'")?;
    let path = ModelStore::new(&settings.home).get(&source).map_err(with_hint)?;
    let model = Model::open(&path).context("the model cannot be opened")?;
    let base = BaseModel {
        name: model.name().to_owned(),
        fingerprint: model.fingerprint().to_owned(),
        config: model.checkpoint().config().clone(),
    };
    let engine = LocalEngine::start(model, &engine_settings(settings.engine))?;
    let catalogue = open_catalogue(settings, base)?;
    let scorer = open_scorer(&settings.moderation).context("the scorer cannot be used")?;
    tracing::info!(version = scorer.version(), "scorer loaded");
    Ok(Loaded { engine: Arc::new(engine), catalogue: Arc::new(catalogue), scorer })
}

fn open_scorer(settings: &ModerationSettings) -> anyhow::Result<Arc<dyn Scorer>> {
    Ok(match &settings.encoder {
        Some(folder) => encoder::open_scorer(folder)?.into(),
        None => Arc::new(FastScorer::embedded()?),
    })
}

fn with_hint(error: FetchError) -> anyhow::Error {
    let hint = error.hint();
    anyhow::Error::new(error).context(format!("the model cannot be had ({hint})"))
}

fn engine_settings(settings: EngineSettings) -> LocalSettings {
    let defaults = LocalSettings::default();
    LocalSettings {
        threads: settings.threads.unwrap_or(defaults.threads),
        max_rows: settings.sequences,
        kv_bytes: settings.kv_bytes,
        context_tokens: settings.context_tokens.unwrap_or(defaults.context_tokens),
        precision: match settings.precision {
            Precision::Auto => ServedPrecision::Auto,
            Precision::F32 => ServedPrecision::F32,
        },
        ..defaults
    }
}

fn open_catalogue(settings: &Settings, base: BaseModel) -> anyhow::Result<Catalogue> {
    let root = adapter_root(settings, &base.name)?;
    let limits = Limits { adapters: settings.limits.adapters, ..Limits::default() };
    let state = Some(state_file(&settings.home, &base.name, &root)?);
    let catalogue = Catalogue::open(CatalogueSettings { root, state, limits }, base)?;
    for fault in catalogue.restore_faults() {
        tracing::warn!(adapter = %fault.name, reason = %fault.reason, "an adapter is not restored");
    }
    for fault in catalogue.load_shipped()? {
        tracing::warn!(%fault, "an adapter is not loaded");
    }
    tracing::info!(adapters = catalogue.usage().live_generations, "adapters loaded");
    Ok(catalogue)
}

/// The folder that is set, or the one that comes with the sources, or one in the home folder.
fn adapter_root(settings: &Settings, model: &str) -> anyhow::Result<PathBuf> {
    if let Some(root) = &settings.adapters {
        return Ok(root.clone());
    }
    let shipped = Path::new(SHIPPED).join(model);
    if shipped.is_dir() {
        return Ok(shipped);
    }
    let own = settings.home.join("adapters");
    std::fs::create_dir_all(&own).context("the adapter folder cannot be made")?;
    Ok(own)
}

/// What is loaded from one folder for one model says nothing about another.
fn state_file(home: &Path, model: &str, root: &Path) -> anyhow::Result<PathBuf> {
    let root = root.canonicalize().context("the adapter folder cannot be read")?;
    let place = Digest::of(&[model.as_bytes(), root.as_os_str().as_encoded_bytes()]);
    let name: String = place.as_bytes()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = home.join("state");
    std::fs::create_dir_all(&folder).context("the state folder cannot be made")?;
    Ok(folder.join(format!("{name}.json")))
}

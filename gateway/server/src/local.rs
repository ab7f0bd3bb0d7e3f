//! What the program serves: a model in an engine, adapters from a folder, and a scorer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapters::{BaseModel, Catalogue, CatalogueSettings, Digest, Limits};
use anyhow::{Context as _, anyhow};
use gateway_engine::{Engine, LocalEngine, LocalSettings};
use gateway_toxicity::{FastScorer, Scorer, encoder};
use gateway_wire::selection::ScaleBounds;
use model::Model;

use crate::gateway::Loaded;
use crate::prepared::{Prepared, fetch, served};
use crate::settings::{
    EngineKind, EngineSettings, ModerationSettings, Presets, Settings, read_presets,
};
use crate::{mistral, upstream};

/// Where adapters that come with the sources lie, from their root.
const SHIPPED: &str = "adapters/shipped";
/// Named sets of a folder's adapters, in that folder.
const PRESETS: &str = "presets.toml";

/// Loads the model, fetching it if it is not there yet, then the adapters and the scorer.
///
/// # Errors
/// If the model cannot be had or served, or the adapter folder cannot be used. An adapter that
/// cannot be loaded is a line in the log.
pub fn load(settings: &Settings) -> anyhow::Result<Loaded> {
    let Prepared { base, start } = match settings.engine.kind {
        EngineKind::Local => prepare(settings)?,
        EngineKind::Upstream => upstream::prepare(settings)?,
        EngineKind::Mistralrs => mistral::prepare(settings)?,
    };
    let root = adapter_root(settings, &base.name)?;
    let presets = open_presets(&root, settings.policy.bounds)?;
    // Each takes a core for half a second or more.
    let (engine, catalogue) = std::thread::scope(|scope| {
        let catalogue = scope.spawn(|| open_catalogue(settings, root, base));
        let engine = start();
        (engine, catalogue.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (engine, catalogue) = (engine?, catalogue?);
    let scorer = open_scorer(&settings.moderation).context("the scorer cannot be used")?;
    tracing::info!(version = scorer.version(), "scorer loaded");
    Ok(Loaded { engine, catalogue: Arc::new(catalogue), presets, scorer })
}

fn prepare(settings: &Settings) -> anyhow::Result<Prepared> {
    let model = Model::open(&fetch(settings)?).context("the model cannot be opened")?;
    let base = BaseModel {
        name: model.name().to_owned(),
        fingerprint: model.fingerprint().to_owned(),
        config: model.checkpoint().config().clone(),
        precision: served(settings.engine.precision),
    };
    let settings = engine_settings(settings.engine);
    let start = Box::new(move || -> anyhow::Result<Arc<dyn Engine>> {
        Ok(Arc::new(LocalEngine::start(model, &settings)?))
    });
    Ok(Prepared { base, start })
}

/// The presets that come with a folder of adapters, if any do.
fn open_presets(root: &Path, bounds: ScaleBounds) -> anyhow::Result<Presets> {
    let text = match std::fs::read_to_string(root.join(PRESETS)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Presets::new()),
        Err(error) => return Err(error).context("the adapter folder's presets cannot be read"),
    };
    let table = text.parse::<toml::Table>().context("the adapter folder's presets are no TOML")?;
    read_presets(table, bounds).map_err(|faults| {
        let faults = faults.into_iter().map(|(name, what)| format!("{name}: {what}"));
        anyhow!("in the adapter folder's presets: {}", faults.collect::<Vec<_>>().join("; "))
    })
}

fn open_scorer(settings: &ModerationSettings) -> anyhow::Result<Arc<dyn Scorer>> {
    Ok(match &settings.encoder {
        Some(folder) => encoder::open_scorer(folder)?.into(),
        None => Arc::new(FastScorer::embedded()?),
    })
}

fn engine_settings(settings: EngineSettings) -> LocalSettings {
    let defaults = LocalSettings::default();
    LocalSettings {
        threads: settings.threads.unwrap_or(defaults.threads),
        max_rows: settings.sequences,
        kv_bytes: settings.kv_bytes,
        context_tokens: settings.context_tokens.unwrap_or(defaults.context_tokens),
        precision: served(settings.precision),
        ..defaults
    }
}

fn open_catalogue(
    settings: &Settings,
    root: PathBuf,
    base: BaseModel,
) -> anyhow::Result<Catalogue> {
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
    let folder = home.join("state");
    std::fs::create_dir_all(&folder).context("the state folder cannot be made")?;
    Ok(folder.join(format!("{}.json", place.prefix(8))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_presets_or_none_or_says_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let bounds = ScaleBounds { low: -2.0, high: 2.0 };
        let open = || open_presets(folder.path(), bounds);
        assert!(open().unwrap().is_empty());
        let write = |text| std::fs::write(folder.path().join(PRESETS), text).unwrap();
        write("[balanced]\ngender = 1\nrace = 0.5\n");
        assert_eq!(open().unwrap()["balanced"].names().collect::<Vec<_>>(), ["gender", "race"]);
        write("[balanced]\ngender = 9\n[other]\nbalanced = 1\nrace = 'much'\n");
        let error = open().unwrap_err().to_string();
        assert!(error.contains("balanced: the scale of gender"), "{error}");
        assert!(error.contains("other: the scale of race"), "{error}");
        write("balanced");
        assert!(open().unwrap_err().to_string().contains("no TOML"));
    }
}

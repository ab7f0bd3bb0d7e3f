//! Other servers as the engine, from the settings.

use std::sync::Arc;

use adapters::BaseModel;
use anyhow::Context as _;
use gateway_engine::upstream::{AdapterFolder, Secret, UpstreamEngine, UpstreamSettings};
use gateway_engine::{Engine, ModelInfo};
use model::{Model, ServedPrecision};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::prepared::{Prepared, fetch};
use crate::settings::{EngineKind, Settings};

/// Where composed adapters are written if nothing is set, in the home folder.
const FOLDER: &str = "upstream";

/// Opens the model, of which only what is about text is kept, for an engine of other servers.
pub(crate) fn prepare(settings: &Settings) -> anyhow::Result<Prepared> {
    let model = Model::open(&fetch(settings)?).context("the model cannot be opened")?;
    let config = model.checkpoint().config().clone();
    let longest = settings.engine.context_tokens.unwrap_or(usize::MAX);
    let info = ModelInfo {
        name: model.name().to_owned(),
        context_tokens: longest.min(config.context_tokens),
        vocabulary: config.vocabulary,
        fingerprint: model.fingerprint().to_owned(),
    };
    let base = BaseModel {
        name: info.name.clone(),
        fingerprint: info.fingerprint.clone(),
        config: config.clone(),
        // Other servers round adapters in their own way: they get them as they were read.
        precision: ServedPrecision::F32,
    };
    let upstream = fleet_settings(settings, &info.name)?;
    let text = Arc::clone(model.text());
    let start = Box::new(move || -> anyhow::Result<Arc<dyn Engine>> {
        Ok(Arc::new(UpstreamEngine::start(text, config, info, upstream)?))
    });
    Ok(Prepared { base, start })
}

/// Whether the files that the settings name for other servers can be used, if these are the engine.
///
/// # Errors
/// If one cannot be read, or holds something else.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    if settings.engine.kind == EngineKind::Upstream {
        read_key(settings)?;
        read_roots(settings)?;
    }
    Ok(())
}

fn fleet_settings(settings: &Settings, model: &str) -> anyhow::Result<UpstreamSettings> {
    let set = &settings.upstream;
    let or = |text: &String, other: &str| {
        if text.is_empty() { other.to_owned() } else { text.clone() }
    };
    let here = set.adapters.clone().unwrap_or_else(|| settings.home.join(FOLDER));
    let here = std::path::absolute(here).context("the folder for upstream adapters")?;
    let there = or(&set.adapters_there, &here.to_string_lossy());
    Ok(UpstreamSettings {
        servers: set.servers.clone(),
        dialect: set.dialect,
        model: or(&set.model, model),
        key: read_key(settings)?,
        roots: read_roots(settings)?,
        adapters: Some(AdapterFolder { here, there }),
        max_adapters: set.max_adapters,
        max_rank: set.max_rank,
        attempts: set.attempts,
        patience: set.patience,
    })
}

fn read_roots(settings: &Settings) -> anyhow::Result<Vec<Vec<u8>>> {
    let Some(path) = &settings.upstream.ca_file else { return Ok(Vec::new()) };
    let pem = std::fs::read(path).context("upstream.ca_file cannot be read")?;
    let roots = CertificateDer::pem_slice_iter(&pem).map(|root| Ok(root?.to_vec()));
    let roots = roots.collect::<anyhow::Result<Vec<_>>>();
    let roots = roots.context("upstream.ca_file is not PEM of certificates")?;
    anyhow::ensure!(!roots.is_empty(), "upstream.ca_file has no certificate");
    Ok(roots)
}

fn read_key(settings: &Settings) -> anyhow::Result<Option<Secret>> {
    let Some(path) = &settings.upstream.key_file else { return Ok(None) };
    let key = std::fs::read_to_string(path).context("upstream.key_file cannot be read")?;
    let key = key.trim();
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    anyhow::ensure!(plain, "upstream.key_file must hold one line of visible characters");
    Ok(Some(Secret(key.to_owned())))
}

//! The engine over mistral.rs, if the program was built with it.

use crate::prepared::Prepared;
use crate::settings::Settings;

#[cfg(not(feature = "mistralrs"))]
pub(crate) fn prepare(_: &Settings) -> anyhow::Result<Prepared> {
    anyhow::bail!(
        "this program was built without the engine mistralrs; \
         build it with `--features mistralrs`, or set engine.kind = \"local\""
    )
}

#[cfg(feature = "mistralrs")]
pub(crate) fn prepare(settings: &Settings) -> anyhow::Result<Prepared> {
    use std::sync::Arc;

    use adapters::BaseModel;
    use anyhow::{Context as _, ensure};
    use gateway_engine::Engine;
    use gateway_mistralrs::{Base, MistralEngine, MistralSettings};

    use crate::prepared::{fetch, served};

    ensure!(
        settings.shadow.rate <= 0.0,
        "the engine mistralrs cannot make shadow runs; set shadow.rate = 0"
    );
    let base = Base::open(&fetch(settings)?).context("the model cannot be opened")?;
    let precision = served(settings.engine.precision);
    let (name, fingerprint) = (base.name().to_owned(), base.fingerprint().to_owned());
    let config = base.config().cloned().unwrap_or(NOTHING_FITS);
    let engine = MistralSettings {
        home: settings.home.clone(),
        variants_bytes: settings.engine.variants_bytes,
        context_tokens: settings.engine.context_tokens.unwrap_or(usize::MAX),
        precision,
    };
    let start = Box::new(move || -> anyhow::Result<Arc<dyn Engine>> {
        Ok(Arc::new(MistralEngine::start(base, &engine)?))
    });
    Ok(Prepared { base: BaseModel { name, fingerprint, config, precision }, start })
}

/// The shape of a model into which no adapter can be merged: no adapter fits it.
#[cfg(feature = "mistralrs")]
const NOTHING_FITS: model::Config = model::Config {
    hidden: 0,
    intermediate: 0,
    layers: 0,
    heads: 0,
    kv_heads: 0,
    head_dim: 0,
    vocabulary: 0,
    context_tokens: 0,
    rope_theta: 0.0,
    norm_epsilon: 0.0,
};

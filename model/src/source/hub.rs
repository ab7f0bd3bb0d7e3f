//! Models on the Hugging Face hub, by the `hf-hub` crate and in its cache layout.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, CacheRepo};
use serde::Deserialize;

use super::FetchError;

/// What a folder of safetensors needs besides its weights.
const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];
/// What it may have.
const OPTIONAL: [&str; 3] =
    ["tokenizer_config.json", "generation_config.json", "chat_template.jinja"];
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// One file, or the folder of a repository's safetensors, fetched unless it is in `cache`.
pub(super) fn fetch(
    cache: &Path,
    endpoint: Option<&str>,
    repo: &str,
    file: Option<&str>,
) -> Result<PathBuf, FetchError> {
    std::fs::create_dir_all(cache)?;
    let cached = Cache::new(cache.to_owned()).model(repo.to_owned());
    let found = match file {
        Some(file) => cached.get(file),
        None => complete_folder(&cached),
    };
    if let Some(path) = found {
        return Ok(path);
    }
    let download = || {
        let mut builder = ApiBuilder::new().with_cache_dir(cache.to_owned());
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint.to_owned());
        }
        let api = builder.build()?.model(repo.to_owned());
        file.map_or_else(|| folder(&api), |file| api.get(file))
    };
    download().map_err(|error| FetchError::Unreachable {
        source_text: format!("hf:{repo}"),
        reason: error.to_string(),
    })
}

/// Fetches a folder's files, the weights last, so that a folder with all of them is complete.
fn folder(api: &ApiRepo) -> Result<PathBuf, ApiError> {
    let names: Vec<String> = api.info()?.siblings.into_iter().map(|s| s.rfilename).collect();
    let there = |name: &&str| names.iter().any(|n| n == name);
    for name in REQUIRED.into_iter().chain(OPTIONAL.into_iter().filter(there)) {
        api.get(name)?;
    }
    let last = if there(&INDEX) {
        let index = api.get(INDEX)?;
        let mut last = index.clone();
        for shard in shards(&index).unwrap_or_default() {
            last = api.get(&shard)?;
        }
        last
    } else {
        api.get(WEIGHTS)?
    };
    Ok(last.parent().map(Path::to_owned).unwrap_or_default())
}

/// The folder in the cache, if nothing is missing in it.
fn complete_folder(cached: &CacheRepo) -> Option<PathBuf> {
    for name in REQUIRED {
        cached.get(name)?;
    }
    let weights = match cached.get(INDEX) {
        Some(index) => {
            for shard in shards(&index)? {
                cached.get(&shard)?;
            }
            index
        }
        None => cached.get(WEIGHTS)?,
    };
    weights.parent().map(Path::to_owned)
}

#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

/// The weight files that an index names; none if it cannot be read.
fn shards(index: &Path) -> Option<BTreeSet<String>> {
    let index: Index = serde_json::from_slice(&std::fs::read(index).ok()?).ok()?;
    Some(index.weight_map.into_values().collect())
}

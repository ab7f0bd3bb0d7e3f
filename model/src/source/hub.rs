//! Models on the Hugging Face hub, by the `hf-hub` crate and in its cache layout.

use std::path::{Path, PathBuf};

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};

use super::FetchError;

/// What a folder of safetensors needs besides its weights.
const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];
/// What it may have.
const OPTIONAL: [&str; 3] =
    ["tokenizer_config.json", "generation_config.json", "chat_template.jinja"];
const INDEX: &str = "model.safetensors.index.json";

/// One file, or the folder of a repository's safetensors, fetched unless it is in `cache`.
pub(super) fn fetch(
    cache: &Path,
    endpoint: Option<&str>,
    repo: &str,
    file: Option<&str>,
) -> Result<PathBuf, FetchError> {
    let failed = |error: ApiError| FetchError::Unreachable {
        source_text: format!("hf:{repo}"),
        reason: error.to_string(),
    };
    std::fs::create_dir_all(cache)?;
    let mut builder = ApiBuilder::new().with_cache_dir(cache.to_owned());
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.to_owned());
    }
    let api = builder.build().map_err(failed)?.model(repo.to_owned());
    if let Some(file) = file {
        return api.get(file).map_err(failed);
    }
    for name in REQUIRED {
        api.get(name).map_err(failed)?;
    }
    let names: Vec<String> =
        api.info().map_err(failed)?.siblings.into_iter().map(|s| s.rfilename).collect();
    for name in OPTIONAL.into_iter().filter(|name| names.iter().any(|n| n == name)) {
        api.get(name).map_err(failed)?;
    }
    weights(&api, &names).map_err(failed)
}

/// Fetches the weight files and gives their folder.
fn weights(api: &ApiRepo, names: &[String]) -> Result<PathBuf, ApiError> {
    let mut last = PathBuf::new();
    if names.iter().any(|n| n == INDEX) {
        api.get(INDEX)?;
        let shards = names.iter().filter(|n| n.ends_with(".safetensors") && n.contains("-of-"));
        for name in shards {
            last = api.get(name)?;
        }
    } else {
        last = api.get("model.safetensors")?;
    }
    Ok(last.parent().map(Path::to_owned).unwrap_or_default())
}

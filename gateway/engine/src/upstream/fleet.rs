//! All servers, and which of them gets a job.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use adapters::AdapterVector;
use model::Config;
use tokio::time::Instant;

use super::budget::RetryBudget;
use super::dialect::{self, Dialect, Target};
use super::fault::Fault;
use super::http::Http;
use super::jobs::Jobs;
use super::placement::{Hold, Loader};
use super::replica::Replica;
use super::roster::Ids;
use super::verify::Trial;
use super::{AdapterFolder, UpstreamError, UpstreamSettings, composed};
use crate::{ControlTokens, Job, ModelText, Status, SubmitError};

/// What adapters are tried out with: any text will do that is a few dozen tokens long.
const TRIAL_TEXT: &str = "The doctor asked the nurse about the patient, and she said that the people \
    who had come to the country in that year were mostly good, honest and hard workers.";

/// A server that has a job's adapters gets it as long as it costs at most so many times as much
/// as at the server with the least load.
const AFFINITY: f64 = 2.0;

/// The servers and what they share.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) settings: UpstreamSettings,
    pub(super) replicas: Vec<Arc<Replica>>,
    pub(super) http: Http,
    pub(super) text: ModelText,
    pub(super) jobs: Arc<Jobs>,
    pub(super) budget: RetryBudget,
    /// Whose turn it is among equals.
    turn: AtomicUsize,
    config: Config,
    trial_prompt: Vec<u32>,
}

/// What a server is told, and what keeps it true.
#[derive(Debug)]
pub(super) struct Aim {
    pub(super) target: Target,
    /// The name of the placed adapter, if there is one.
    pub(super) placed: Option<String>,
    _hold: Option<Hold>,
}

impl Fleet {
    pub(super) fn new(
        settings: UpstreamSettings,
        text: ModelText,
        config: Config,
    ) -> Result<Self, UpstreamError> {
        if settings.servers.is_empty() {
            return Err(UpstreamError::NoServer);
        }
        if let Some(folder) = &settings.adapters {
            std::fs::create_dir_all(&folder.here).map_err(UpstreamError::Folder)?;
        }
        let replica = |server| Arc::new(Replica::new(server, settings.max_adapters));
        let trial = text.tokenize(TRIAL_TEXT, ControlTokens::AsText).unwrap_or_default();
        Ok(Self {
            replicas: settings.servers.iter().cloned().map(replica).collect(),
            http: Http::new(settings.patience, settings.key.as_ref(), &settings.roots)?,
            jobs: Arc::default(),
            budget: RetryBudget::default(),
            turn: AtomicUsize::new(0),
            trial_prompt: trial,
            settings,
            text,
            config,
        })
    }

    /// Refuses what no server could do.
    pub(super) fn check(&self, job: &Job) -> Result<(), SubmitError> {
        let settings = &self.settings;
        settings.dialect.check(job)?;
        if settings.dialect != Dialect::Vllm || job.adapters.is_empty() {
            return Ok(());
        }
        if settings.adapters.is_none() {
            let what = "adapters without a folder that the upstream servers see";
            return Err(SubmitError::Unsupported(what.to_owned()));
        }
        let (total, limit) = (composed::rank(&job.adapters), settings.max_rank);
        if total > limit { Err(SubmitError::Rank { total, limit }) } else { Ok(()) }
    }

    /// The server that a job goes to: of those that are well and not in `tried` the one with the
    /// least load, or one that has its adapters and not much more load. If none is well, one that
    /// is not.
    pub(super) fn choose(&self, vector: &AdapterVector, tried: &[Arc<Replica>]) -> Arc<Replica> {
        let now = Instant::now();
        let untried = |replica: &&Arc<Replica>| !tried.iter().any(|t| Arc::ptr_eq(t, replica));
        let well = |replica: &&Arc<Replica>| untried(replica) && replica.is_available(now);
        let least = self.least(well).or_else(|| self.least(untried));
        let least = least.unwrap_or(&self.replicas[0]);
        if vector.is_empty() || self.settings.dialect != Dialect::Vllm {
            return Arc::clone(least);
        }
        let name = composed::name(vector);
        let bound = least.cost() * AFFINITY;
        let has = |r: &&Arc<Replica>| well(r) && r.placement.has(&name) && r.cost() <= bound;
        Arc::clone(self.least(has).unwrap_or(least))
    }

    /// The server with the least load; of equals, each in turn.
    fn least(&self, may: impl Fn(&&Arc<Replica>) -> bool) -> Option<&Arc<Replica>> {
        let start = self.turn.fetch_add(1, Ordering::Relaxed) % self.replicas.len();
        let turned = self.replicas[start..].iter().chain(&self.replicas[..start]);
        turned.filter(may).min_by(|a, b| a.cost().total_cmp(&b.cost()))
    }

    /// What `replica` is told so that it applies `vector` and nothing else.
    ///
    /// # Errors
    /// [`Fault`] if the adapters cannot be had there.
    pub(super) async fn aim(
        &self,
        replica: &Arc<Replica>,
        vector: &AdapterVector,
    ) -> Result<Aim, Fault> {
        let base = Target::Named(self.settings.model.clone());
        let plain = |target| Aim { target, placed: None, _hold: None };
        match (self.settings.dialect, &self.settings.adapters) {
            (Dialect::Llama, _) => Ok(plain(self.scales(replica, vector).await?)),
            (Dialect::Vllm, Some(folder)) if !vector.is_empty() => {
                let name = composed::name(vector);
                let placing = Placing { fleet: self, replica, vector, folder };
                let hold = Some(replica.placement.hold(&name, &placing).await?);
                let target = Target::Named(name.clone());
                Ok(Aim { target, placed: Some(name), _hold: hold })
            }
            (Dialect::Vllm | Dialect::OpenAi, _) => Ok(plain(base)),
        }
    }

    /// The scale of every adapter that a server was started with.
    async fn scales(&self, replica: &Replica, vector: &AdapterVector) -> Result<Target, Fault> {
        let ids = self.roster(replica).await?;
        for applied in vector.entries() {
            let name = applied.lease.name().as_str();
            let Some(id) = ids.get(name) else {
                return Err(Fault::Missing(name.to_owned()));
            };
            if !replica.roster.is_tried(*id) {
                let only =
                    |wanted| ids.values().map(|id| (*id, f32::from(*id == wanted))).collect();
                let none = ids.values().map(|id| (*id, 0.0)).collect();
                let trial = self.trial(replica);
                trial.run(&Target::Scales(none), &Target::Scales(only(*id))).await?;
                replica.roster.set_tried(*id);
            }
        }
        let scale = |name: &str| {
            let applied = vector.entries().iter().find(|a| a.lease.name().as_str() == name);
            applied.map_or(0.0, |applied| applied.scale)
        };
        Ok(Target::Scales(ids.iter().map(|(name, id)| (*id, scale(name))).collect()))
    }

    /// The server's adapters, asked for each time: one that was started anew may have given its ids
    /// to others.
    async fn roster(&self, replica: &Replica) -> Result<Ids, Fault> {
        let url = replica.server.at("/lora-adapters");
        let list = self.http.get(url, self.settings.patience.placement).await?;
        let ids: Ids = dialect::llama_list(&list).ok_or(Fault::Garbage)?.into_iter().collect();
        replica.roster.see(&ids);
        Ok(ids)
    }

    fn trial<'a>(&'a self, replica: &'a Replica) -> Trial<'a> {
        Trial {
            http: &self.http,
            server: &replica.server,
            dialect: self.settings.dialect,
            prompt: &self.trial_prompt,
            patience: self.settings.patience.placement,
        }
    }

    pub(super) fn status(&self) -> Status {
        let upstreams = self.replicas.iter().map(|replica| replica.status()).collect();
        Status { upstreams, ..self.jobs.status() }
    }
}

/// Places a set of adapters at a vLLM.
struct Placing<'a> {
    fleet: &'a Fleet,
    replica: &'a Replica,
    vector: &'a AdapterVector,
    folder: &'a AdapterFolder,
}

impl Loader for Placing<'_> {
    async fn load(&self, name: &str) -> Result<(), Fault> {
        let (vector, config) = (self.vector.clone(), self.fleet.config.clone());
        let (folder, owned) = (self.folder.here.clone(), name.to_owned());
        let write = move || composed::write(&vector, &config, &folder, &owned);
        let written = tokio::task::spawn_blocking(write).await;
        let changes = written.map_err(|_| Fault::Folder("a panic".to_owned()))??;
        let path = format!("{}/{name}", self.folder.there.trim_end_matches('/'));
        let body = serde_json::json!({"lora_name": name, "lora_path": path});
        match self.manage("/v1/load_lora_adapter", &body).await {
            // It has that name already, and a name has one content.
            Ok(()) | Err(Fault::Refused(400)) => {}
            Err(Fault::Displaced) => {
                let what =
                    "the server does not find the adapter in the shared folder, or places none";
                return Err(Fault::Adapter(what.to_owned()));
            }
            Err(fault) => return Err(fault),
        }
        if !changes {
            return Ok(());
        }
        let named = |name: &str| Target::Named(name.to_owned());
        let base = named(&self.fleet.settings.model);
        let tried = self.fleet.trial(self.replica).run(&base, &named(name)).await;
        if tried.is_err() {
            // It must not be there when it is asked for again. The fault that is told is the first.
            let _ = self.unload(name).await;
        }
        tried
    }

    async fn unload(&self, name: &str) -> Result<(), Fault> {
        let body = serde_json::json!({"lora_name": name});
        self.manage("/v1/unload_lora_adapter", &body).await?;
        let elsewhere = self.fleet.replicas.iter().any(|r| r.placement.has(name));
        if !elsewhere {
            let (folder, name) = (self.folder.here.clone(), name.to_owned());
            let removed = tokio::task::spawn_blocking(move || composed::remove(&folder, &name));
            removed.await.map_err(|_| Fault::Folder("a panic".to_owned()))?;
        }
        Ok(())
    }
}

impl Placing<'_> {
    async fn manage(&self, path: &str, body: &serde_json::Value) -> Result<(), Fault> {
        let url = self.replica.server.at(path);
        let patience = self.fleet.settings.patience.placement;
        super::http::good(self.fleet.http.post(url, body, None, patience).await?).map(|_| ())
    }
}

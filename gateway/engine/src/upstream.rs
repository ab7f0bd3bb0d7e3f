//! Other servers as the engine: a fleet of vLLM, of llama.cpp's server, or of anything that speaks
//! OpenAI's completions.
//!
//! Prompts are rendered and tokenized here, by the model's own text side, and travel as token ids;
//! so everything that the gateway does with text is the same as with the local engine. What the
//! servers add is the drawing of tokens. A job waits for its server on a thread of the engine's
//! own, which also looks after the servers' health.
//!
//! **Invariant:** a job is sent again only while its reader has seen nothing of its answer, and what
//! a server says is taken only if it is known to come from the adapters that the job names.

mod breaker;
mod budget;
mod composed;
mod dialect;
mod exchange;
mod fault;
mod fleet;
mod http;
mod jobs;
mod placement;
mod probe;
mod replica;
mod roster;
mod run;
mod server;
mod sse;
mod verify;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{path::PathBuf, sync::Mutex, sync::PoisonError};

use model::{Config, TextSide};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    ChatMessage, ControlTokens, Engine, Generation, Health, Job, ModelInfo, ModelText, Status,
    SubmitError, TextError, check_adapters,
};
use fleet::Fleet;

pub use dialect::Dialect;
pub use server::{Server, ServerError};

/// Chunks that may wait for a slow reader; then its server is no longer read from.
const CAPACITY: usize = 32;

/// A fleet, and how it is used.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// The servers; all serve the same model.
    pub servers: Vec<Server>,
    /// What they understand.
    pub dialect: Dialect,
    /// What they call the base model.
    pub model: String,
    /// Sent to them as a bearer token.
    pub key: Option<Secret>,
    /// Certificates (DER) that theirs may be signed by, beside those of the system.
    pub roots: Vec<Vec<u8>>,
    /// Where adapters are written for them; `None` if none may be placed.
    pub adapters: Option<AdapterFolder>,
    /// Composed adapters that each server may have loaded by this gateway at a time.
    pub max_adapters: usize,
    /// The highest rank that they take.
    pub max_rank: usize,
    /// How often a job may be sent, the first time included.
    pub attempts: usize,
    /// The longest time for things to happen.
    pub patience: Patience,
}

/// A folder that the servers see too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterFolder {
    /// Where it is for this process.
    pub here: PathBuf,
    /// Where it is for the servers.
    pub there: String,
}

/// How long a server may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To take a connection.
    pub connect: Duration,
    /// From a request to the first token of its answer.
    pub first_token: Duration,
    /// Between tokens.
    pub idle: Duration,
    /// To load an adapter, or to answer one that is tried out.
    pub placement: Duration,
    /// Between looks at its health.
    pub probe: Duration,
}

/// Something that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Why a fleet cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// There is no server.
    #[error("there is no upstream server")]
    NoServer,
    /// The folder for adapters cannot be made or read.
    #[error("the folder for upstream adapters cannot be used: {0}")]
    Folder(#[source] std::io::Error),
    /// The HTTP client cannot be set up.
    #[error("upstream connections cannot be set up: {0}")]
    Client(#[source] reqwest::Error),
    /// The thread could not be started.
    #[error("the upstream engine's thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
}

/// A handle to the fleet.
pub struct UpstreamEngine {
    text: ModelText,
    config: Config,
    info: ModelInfo,
    fleet: Arc<Fleet>,
    /// Runs on the engine's thread.
    runtime: Handle,
    down: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl UpstreamEngine {
    /// Starts the thread. The servers need not be there yet.
    ///
    /// # Errors
    /// [`UpstreamError`] if the settings leave nothing to use.
    pub fn start(
        text: Arc<TextSide>,
        config: Config,
        info: ModelInfo,
        settings: UpstreamSettings,
    ) -> Result<Self, UpstreamError> {
        let text = ModelText::new(text, config.vocabulary);
        let fleet = Arc::new(Fleet::new(settings, text.clone(), config.clone())?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(UpstreamError::Thread)?;
        let handle = runtime.handle().clone();
        let (down, ended) = watch::channel(false);
        let watched = Arc::clone(&fleet);
        let thread = std::thread::Builder::new()
            .name("upstream".into())
            .spawn(move || runtime.block_on(probe::watch(watched, ended)))
            .map_err(UpstreamError::Thread)?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { text, config, info, fleet, runtime: handle, down, thread })
    }

    /// Refuses what can never run.
    fn check(&self, job: &Job) -> Result<(), SubmitError> {
        let unsupported = |what: &str| Err(SubmitError::Unsupported(what.to_owned()));
        if *self.down.borrow() {
            return Err(SubmitError::NotRunning);
        }
        self.text.check_prompt(&job.prompt)?;
        if !job.companions.is_empty() {
            return unsupported("sequences that accompany a request");
        }
        if job.comparison.is_some() {
            return unsupported("comparing distributions");
        }
        check_adapters(&job.adapters, &self.config)?;
        let requested = job.prompt.len() + job.limits.least_tokens();
        if requested > self.info.context_tokens {
            return Err(SubmitError::TooLong {
                requested,
                context_tokens: self.info.context_tokens,
            });
        }
        self.fleet.check(job)
    }
}

impl Engine for UpstreamEngine {
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn tokenize(&self, text: &str, control: ControlTokens) -> Result<Vec<u32>, TextError> {
        self.text.tokenize(text, control)
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String, TextError> {
        self.text.detokenize(tokens)
    }

    fn token_bytes(&self, token: u32) -> Result<Vec<u8>, TextError> {
        self.text.token_bytes(token)
    }

    fn render_chat(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, TextError> {
        self.text.render_chat(messages)
    }

    fn submit(&self, mut job: Job) -> Result<Generation, SubmitError> {
        self.check(&job)?;
        let room = self.info.context_tokens - job.prompt.len();
        job.limits.max_tokens = job.limits.max_tokens.min(room);
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let place = self.fleet.jobs.enter(&job);
        let fleet = Arc::clone(&self.fleet);
        let run = run::run(fleet, place, job, sender, self.down.subscribe());
        self.runtime.spawn(run);
        Ok(Generation::new(ReceiverStream::new(receiver)))
    }

    fn status(&self) -> Status {
        let health = match *self.down.borrow() {
            true => Health::ShutDown,
            false if self.runtime_ended() => Health::Failed,
            false => Health::Ready,
        };
        Status { health, ..self.fleet.status() }
    }

    fn shut_down(&self) {
        self.down.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the upstream engine's thread panicked");
        }
    }
}

impl UpstreamEngine {
    fn runtime_ended(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for UpstreamEngine {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl std::fmt::Debug for UpstreamEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamEngine").field("model", &self.info.name).finish_non_exhaustive()
    }
}

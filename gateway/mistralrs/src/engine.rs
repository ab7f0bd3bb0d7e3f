//! The engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use gateway_engine::{
    Answer, ChatMessage, ControlTokens, Drawer, Engine, Generation, Health, Job, ModelInfo,
    ModelText, Priority, Status, SubmitError, TextError, check_adapters,
};
use mistralrs_core::MistralRs;
use model::ServedPrecision;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::watch;

use crate::Base;
use crate::base::Weights;
use crate::job::{self, House, Work};
use crate::ledger::Ledger;
use crate::load;
use crate::pool::{BuildError, Pool};
use crate::reader;
use crate::scratch::Scratch;
use crate::variant::{self, Merging, Variant};

/// The base's name in mistral.rs.
const BASE: &str = "base";

/// How the engine uses the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MistralSettings {
    /// Merged models lie below it while they are loaded.
    pub home: PathBuf,
    /// Memory for variants, the base apart, in bytes.
    pub variants_bytes: u64,
    /// Longest prompt plus answer; no more than the model was trained for.
    pub context_tokens: usize,
    /// How linear layers are held: quantised to 8 bits, or in f32.
    pub precision: ServedPrecision,
}

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The budget holds not even one variant.
    #[error("{given} bytes for variants are too few; one takes {variant}")]
    BudgetTooSmall {
        /// What was given.
        given: u64,
        /// What one variant takes.
        variant: u64,
    },
    /// The folder for merged models cannot be used.
    #[error("the scratch folder cannot be used: {0}")]
    Scratch(#[source] std::io::Error),
    /// The base cannot be loaded.
    #[error("the base: {0}")]
    Base(#[from] BuildError),
    /// The grammar compiler refuses the vocabulary.
    #[error("structured output cannot be set up: {0}")]
    Grammar(String),
    /// There can be no thread or runtime.
    #[error("the engine's threads cannot be started: {0}")]
    Threads(#[source] std::io::Error),
}

/// A handle to mistral.rs.
pub struct MistralEngine {
    info: ModelInfo,
    text: ModelText,
    drawer: Drawer,
    house: Arc<House>,
    ledger: Ledger,
    /// None once it is dropped.
    runtime: Option<Runtime>,
}

impl MistralEngine {
    /// Loads the base. Blocks.
    ///
    /// # Errors
    /// [`StartError`] if the base cannot be loaded or the settings leave no room.
    pub fn start(base: Base, settings: &MistralSettings) -> Result<Self, StartError> {
        let places = places(&base, settings)?;
        let drawer = Drawer::new(base.text.tokenizer(), base.vocabulary);
        let drawer = drawer.map_err(StartError::Grammar)?;
        let scratch = Scratch::open(&settings.home).map_err(StartError::Scratch)?;
        let mistral = load_base(&base.weights, &scratch, settings.precision)?;
        let info = ModelInfo {
            name: base.name().to_owned(),
            context_tokens: settings.context_tokens.min(base.context_tokens),
            vocabulary: base.vocabulary,
            fingerprint: base.fingerprint,
        };
        let text = ModelText::new(base.text, base.vocabulary);
        let merging = |model| Merging {
            mistral: Arc::clone(&mistral),
            model,
            scratch,
            precision: settings.precision,
            built: AtomicU64::new(0),
        };
        let pool = match base.weights {
            Weights::Known { model, .. } => Some(Pool::new(merging(model), places)),
            Weights::Foreign { .. } => None,
        };
        let (down, base) = (watch::Sender::new(false), Variant::new(BASE.to_owned()));
        let house = Arc::new(House { mistral: Arc::clone(&mistral), base, pool, down });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("engine")
            .enable_time()
            .build()
            .map_err(StartError::Threads)?;
        let ledger = Ledger::default();
        Ok(Self { info, text, drawer, house, ledger, runtime: Some(runtime) })
    }

    /// How many variants are in memory or being built, the base apart.
    #[must_use]
    pub fn variants(&self) -> usize {
        self.house.pool.as_ref().map_or(0, |pool| pool.len())
    }

    fn check(&self, job: &Job) -> Result<(), SubmitError> {
        refuse_unsupported(job)?;
        self.text.check_prompt(&job.prompt)?;
        self.check_adapters(job)?;
        let requested = job.prompt.len() + job.limits.least_tokens();
        let context_tokens = self.info.context_tokens;
        if requested > context_tokens {
            return Err(SubmitError::TooLong { requested, context_tokens });
        }
        Ok(())
    }

    fn check_adapters(&self, job: &Job) -> Result<(), SubmitError> {
        match (&self.house.pool, job.adapters.entries().first()) {
            (_, None) => Ok(()),
            (Some(pool), Some(_)) => {
                check_adapters(&job.adapters, pool.workshop().model.checkpoint().config())
            }
            (None, Some(applied)) => Err(SubmitError::Adapter {
                name: applied.lease.name().to_string(),
                reason: "there is no merging into this architecture".to_owned(),
            }),
        }
    }
}

/// How many variants there is room for.
fn places(base: &Base, settings: &MistralSettings) -> Result<usize, StartError> {
    let Weights::Known { model, .. } = &base.weights else { return Ok(0) };
    let weights = model.checkpoint();
    let variant = variant::bytes(weights.config(), weights.has_head(), settings.precision);
    let given = settings.variants_bytes;
    match usize::try_from(given / variant.max(1)).unwrap_or(usize::MAX) {
        0 => Err(StartError::BudgetTooSmall { given, variant }),
        places => Ok(places),
    }
}

/// Refuses by name what mistral.rs has no means for.
fn refuse_unsupported(job: &Job) -> Result<(), SubmitError> {
    let missing = [
        (!job.companions.is_empty(), "companion sequences"),
        (job.comparison.is_some(), "comparisons of distributions"),
        (job.logprobs.prompt.is_some(), "log-probabilities of the prompt"),
        (job.priority == Priority::Background, "background jobs"),
    ];
    match missing.into_iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(SubmitError::Unsupported(what.to_owned())),
        None => Ok(()),
    }
}

/// Starts mistral.rs with the base, from its folder or one that is written for it. On a thread of
/// its own, which may be blocked and whose settings end with it.
fn load_base(
    weights: &Weights,
    scratch: &Scratch,
    precision: ServedPrecision,
) -> Result<Arc<MistralRs>, StartError> {
    let load =
        |folder: &Path| load::load_folder(folder, scratch, precision).map_err(BuildError::Load);
    let start = || {
        let pipeline = match weights {
            Weights::Known { folder: Some(folder), .. } | Weights::Foreign { folder } => {
                load(folder)?
            }
            Weights::Known { model, folder: None } => {
                variant::through_disk(scratch, BASE, model, model.checkpoint(), load)?
            }
        };
        load::start(BASE, pipeline).map_err(StartError::Threads)
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("loader".to_owned());
        let thread = thread.spawn_scoped(scope, start).map_err(StartError::Threads)?;
        thread.join().unwrap_or(Err(StartError::Base(BuildError::Panicked)))
    })
}

impl Engine for MistralEngine {
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

    fn submit(&self, job: Job) -> Result<Generation, SubmitError> {
        self.check(&job)?;
        let runtime = self.runtime.as_ref().filter(|_| !*self.house.down.borrow());
        let runtime = runtime.ok_or(SubmitError::NotRunning)?;
        let room = self.info.context_tokens - job.prompt.len();
        let drawing = self.drawer.begin(&job, room)?;
        let side = Arc::clone(self.text.side());
        let answer = Answer::new(side, job.prompt.len(), job.limits.stop.clone());
        let ticket = self.ledger.enter(&job.adapters);
        let (events, reader) = unbounded_channel();
        runtime.spawn(job::run(Arc::clone(&self.house), Work { job, drawing, ticket, events }));
        Ok(reader::generation(reader, answer))
    }

    fn status(&self) -> Status {
        let down = *self.house.down.borrow();
        self.ledger.status(if down { Health::ShutDown } else { Health::Ready })
    }

    fn shut_down(&self) {
        self.house.down.send_replace(true);
    }
}

impl Drop for MistralEngine {
    fn drop(&mut self) {
        self.shut_down();
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped where nothing may block.
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for MistralEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MistralEngine").field("model", &self.info.name).finish_non_exhaustive()
    }
}

//! The local engine: our decoder on a thread of its own.
//!
//! Handles are cheap and only send; the worker thread owns weights, cache and rows. **Invariant:**
//! a row's tokens and log-probabilities are the same bits alone, in any batch, with any chunking,
//! after any preemption, with a warm or a cold cache.

mod blocks;
mod budget;
mod comparing;
mod outlet;
mod priority;
mod row;
mod sequence;
mod step;
mod stream;
mod worker;

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use model::checkpoint::CheckpointError;
use model::kernels::pool::Pool;
use model::{BLOCK_TOKENS, Config, KvCache, Model, ServedPrecision};

use crate::{
    Answer, ChatMessage, ControlTokens, Drawer, Engine, Generation, Health, Job, ModelInfo,
    ModelText, Status, SubmitError, TextError, check_adapters,
};
use row::Row;
use worker::{Command, Worker};

/// How the local engine uses the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSettings {
    /// Threads for the kernels; at least 1.
    pub threads: usize,
    /// Rows that generate at the same time; the others wait.
    pub max_rows: usize,
    /// Memory for keys and values, in bytes.
    pub kv_bytes: usize,
    /// Longest prompt plus answer; no more than the model was trained for.
    pub context_tokens: usize,
    /// Prompt tokens computed in a step while no row generates.
    pub step_tokens: usize,
    /// Prompt tokens computed in a step while rows generate, so that a long prompt does not stall them;
    /// fewer the longer their past, so that each such step takes as long.
    pub shared_step_tokens: usize,
    /// How weights are held.
    pub precision: ServedPrecision,
}

impl Default for LocalSettings {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            max_rows: 32,
            kv_bytes: 512 << 20,
            context_tokens: usize::MAX,
            step_tokens: 256,
            shared_step_tokens: 64,
            precision: ServedPrecision::Auto,
        }
    }
}

/// Why the local engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A weight is missing or has the wrong shape.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The memory for keys and values holds not even one block.
    #[error("{given} bytes for keys and values are too few; a block takes {block}")]
    CacheTooSmall {
        /// What was given.
        given: usize,
        /// What one block takes.
        block: usize,
    },
    /// The grammar compiler refuses the vocabulary.
    #[error("structured output cannot be set up: {0}")]
    Grammar(String),
    /// The thread could not be started.
    #[error("the engine's thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// A handle to the local engine.
pub struct LocalEngine {
    text: ModelText,
    config: Config,
    info: ModelInfo,
    drawer: Drawer,
    /// Tokens that fit the cache, whatever the context.
    cache_tokens: usize,
    commands: Sender<Command>,
    status: Arc<Mutex<Status>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl LocalEngine {
    /// Packs the weights and starts the thread.
    ///
    /// # Errors
    /// [`StartError`] if a weight is missing or the settings leave no room.
    #[expect(clippy::needless_pass_by_value, reason = "once it is packed the file can be closed")]
    pub fn start(model: Model, settings: &LocalSettings) -> Result<Self, StartError> {
        let pool = Arc::new(Pool::new(settings.threads));
        let decoder = model.packed(settings.precision, pool)?;
        let config = decoder.config().clone();
        let block = KvCache::block_bytes(&config);
        let blocks = settings.kv_bytes / block;
        if blocks == 0 {
            return Err(StartError::CacheTooSmall { given: settings.kv_bytes, block });
        }
        let drawer = Drawer::new(model.tokenizer(), config.vocabulary);
        let drawer = drawer.map_err(StartError::Grammar)?;
        let info = info(&model, &config, settings);
        let cache = KvCache::new(&config, blocks);
        let (commands, inbox) = mpsc::channel();
        let status = Arc::new(Mutex::new(Status::default()));
        let worker = Worker::new(decoder, cache, settings.clone(), inbox, Arc::clone(&status));
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || worker.run())
            .map_err(StartError::Thread)?;
        Ok(Self {
            text: ModelText::new(Arc::clone(model.text()), config.vocabulary),
            config,
            info,
            drawer,
            cache_tokens: blocks * BLOCK_TOKENS,
            commands,
            status,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Refuses what can never run.
    fn check(&self, job: &Job) -> Result<(), SubmitError> {
        let mut total = 0;
        for (prompt, adapters) in job.sequences() {
            self.text.check_prompt(prompt)?;
            check_adapters(adapters, &self.config)?;
            let requested = prompt.len() + job.limits.least_tokens();
            total += requested.next_multiple_of(BLOCK_TOKENS);
            let context_tokens = self.info.context_tokens.min(self.cache_tokens);
            if requested > context_tokens || total > self.cache_tokens {
                return Err(SubmitError::TooLong { requested, context_tokens });
            }
        }
        Ok(())
    }

    /// The most new tokens that context and cache have room for.
    fn room(&self, job: &Job) -> usize {
        let longest = job.sequences().map(|(prompt, _)| prompt.len()).max().unwrap_or(0);
        let share = self.cache_tokens / job.sequences().count();
        self.info.context_tokens.min(share).saturating_sub(longest)
    }
}

impl Engine for LocalEngine {
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
        let drawing = self.drawer.begin(&job, self.room(&job))?;
        let side = Arc::clone(self.text.side());
        let answer = Answer::new(side, job.prompt.len(), job.limits.stop.clone());
        let (row, events) = Row::new(job, drawing);
        self.commands.send(Command::Submit(Box::new(row))).map_err(|_| SubmitError::NotRunning)?;
        Ok(stream::generation(events, answer))
    }

    fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn shut_down(&self) {
        // A worker that has ended already is shut down too.
        let _ = self.commands.send(Command::ShutDown);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            self.status.lock().unwrap_or_else(PoisonError::into_inner).health = Health::Failed;
        }
    }
}

impl Drop for LocalEngine {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl std::fmt::Debug for LocalEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalEngine").field("model", &self.info.name).finish_non_exhaustive()
    }
}

fn info(model: &Model, config: &Config, settings: &LocalSettings) -> ModelInfo {
    ModelInfo {
        name: model.name().to_owned(),
        context_tokens: settings.context_tokens.min(config.context_tokens),
        vocabulary: config.vocabulary,
        fingerprint: model.fingerprint().to_owned(),
    }
}

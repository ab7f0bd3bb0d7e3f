//! The contract between the gateway and whatever generates tokens, and the engines that keep it.
//!
//! Handlers see only [`Engine`]. An engine takes a [`Job`] and answers with a [`Generation`], a
//! stream of text chunks; dropping the stream cancels the job.
//!
//! **Invariant:** a job's output never depends on what else the engine is doing.
#![warn(missing_docs)]

mod admission;
mod answer;
mod drawing;
mod generation;
mod job;
mod local;
mod model_text;
mod rules;
mod sampler;
#[cfg(feature = "scripted")]
pub mod scripted;
mod text;
mod trace_context;
#[cfg(feature = "upstream")]
pub mod upstream;

pub use admission::{Admission, Permit, QueueFull};
pub use answer::Answer;
pub use drawing::{Draw, Drawer, Drawing, Drawn};
pub use generation::{
    Chunk, Divergence, EngineError, Finish, FinishReason, Generation, ScoredToken,
};
pub use job::{Companion, Comparison, Grammar, Job, Limits, Logprobs, Priority, Sampling};
pub use local::{LocalEngine, LocalSettings, StartError};
pub use model_text::{ModelText, check_adapters};
pub use trace_context::TraceContext;

/// Something that generates tokens.
pub trait Engine: Send + Sync {
    /// What is served.
    fn model(&self) -> &ModelInfo;

    /// The token ids of `text`. Texts of control tokens, such as `<|im_end|>`, become control
    /// tokens only with [`ControlTokens::Parse`].
    ///
    /// # Errors
    /// [`TextError`] if the tokenizer refuses the text.
    fn tokenize(&self, text: &str, control: ControlTokens) -> Result<Vec<u32>, TextError>;

    /// The text of `tokens`, control tokens spelled out; unfinished characters become U+FFFD.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`] if an id is outside the vocabulary.
    fn detokenize(&self, tokens: &[u32]) -> Result<String, TextError>;

    /// The bytes of one token.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`] if the id is outside the vocabulary.
    fn token_bytes(&self, token: u32) -> Result<Vec<u8>, TextError>;

    /// The prompt tokens of a conversation, by the model's own chat template, ready for the
    /// assistant's turn. What users typed never becomes a control token.
    ///
    /// # Errors
    /// [`TextError::Template`] if the template refuses the messages.
    fn render_chat(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, TextError>;

    /// Starts a job.
    ///
    /// # Errors
    /// [`SubmitError`] if the job can never run, or the engine is not running.
    fn submit(&self, job: Job) -> Result<Generation, SubmitError>;

    /// What the engine is doing now.
    fn status(&self) -> Status;

    /// Refuses new jobs and ends running ones with [`EngineError::ShuttingDown`]. Idempotent.
    fn shut_down(&self);
}

/// What an engine serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Name that requests use, such as `smollm2-135m-instruct`.
    pub name: String,
    /// Longest prompt plus answer, in tokens.
    pub context_tokens: usize,
    /// Number of token ids.
    pub vocabulary: usize,
    /// Identity of the weights, such as `sha256:...`.
    pub fingerprint: String,
}

/// Whether text can spell control tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlTokens {
    /// `<|im_end|>` in the text is plain text.
    AsText,
    /// `<|im_end|>` in the text is the control token.
    Parse,
}

/// A turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatMessage {
    /// `system`, `user`, `assistant`, ...
    pub role: String,
    /// What was said.
    pub content: String,
}

/// Why text could not be turned into tokens or back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The chat template refused the conversation; its own words.
    #[error("the chat template refuses the messages: {0}")]
    Template(String),
    /// The id is outside the vocabulary.
    #[error("token id {0} is outside the vocabulary")]
    UnknownToken(u32),
    /// The tokenizer failed.
    #[error("the tokenizer failed: {0}")]
    Tokenizer(String),
}

/// Why a job was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The prompt has no token.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// Prompt and answer do not fit.
    #[error("{requested} tokens do not fit the context of {context_tokens}")]
    TooLong {
        /// Prompt plus the least that the answer needs.
        requested: usize,
        /// What fits.
        context_tokens: usize,
    },
    /// The id is outside the vocabulary.
    #[error("token id {0} is outside the vocabulary")]
    UnknownToken(u32),
    /// The grammar cannot be compiled.
    #[error("the grammar is not supported: {0}")]
    Grammar(String),
    /// An adapter in the vector does not fit the base model or is of a kind that this engine cannot apply.
    #[error("adapter {name} cannot be applied: {reason}")]
    Adapter {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The adapters' ranks come to more than the engine takes.
    #[error("the adapters have rank {total} together, and the engine takes {limit}")]
    Rank {
        /// The sum of their ranks.
        total: usize,
        /// What the engine takes.
        limit: usize,
    },
    /// The job asks for something that this engine has no means for.
    #[error("this engine does not support {0}")]
    Unsupported(String),
    /// The engine is not running.
    #[error("the engine is not running")]
    NotRunning,
}

/// What an engine is doing now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// Whether it still generates.
    pub health: Health,
    /// Foreground jobs that generate.
    pub running: usize,
    /// Foreground jobs that wait for a place.
    pub waiting: usize,
    /// Background jobs that generate or wait.
    pub background: usize,
    /// KV cache blocks in use by running jobs.
    pub kv_blocks_used: usize,
    /// KV cache blocks in all.
    pub kv_blocks_total: usize,
    /// Prompt tokens looked up in the prefix cache since the start.
    pub prefix_queries_tokens: u64,
    /// Those of them that were found.
    pub prefix_hits_tokens: u64,
    /// Foreground jobs that lost their blocks to older ones and were computed again.
    pub preemptions: u64,
    /// Names of adapters in running foreground jobs, each once, sorted.
    pub running_adapters: Vec<String>,
    /// Names of adapters in waiting foreground jobs, each once, sorted.
    pub waiting_adapters: Vec<String>,
    /// The servers that generate, if others do.
    pub upstreams: Vec<UpstreamStatus>,
}

/// A server that generates for the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamStatus {
    /// Its host and port.
    pub server: String,
    /// Whether jobs are sent there: its last health check was good and its breaker is closed.
    pub available: bool,
    /// Jobs that are there now.
    pub outstanding: usize,
    /// Jobs that were sent there, each time counted.
    pub requests: u64,
    /// Those that were not answered, or not to their end, by reason.
    pub faults: Vec<(&'static str, u64)>,
    /// Composed adapters that this gateway has loaded there.
    pub adapters: usize,
    /// Placements of adapters by outcome.
    pub placements: Vec<(&'static str, u64)>,
}

/// Whether an engine can generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// It takes jobs.
    #[default]
    Ready,
    /// It was shut down.
    ShutDown,
    /// It broke and takes no more jobs.
    Failed,
}

//! What an engine answers with.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

/// A token and how likely the model held it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredToken {
    /// The token's id.
    pub id: u32,
    /// The bytes it stands for, which need not be whole UTF-8 characters.
    pub bytes: Vec<u8>,
    /// Natural log-probability; `None` if it was not asked for, and for a prompt's first token.
    pub logprob: Option<f32>,
    /// The likeliest tokens at this position, likeliest first, with their log-probabilities.
    pub top: Vec<(u32, Vec<u8>, f32)>,
}

/// A piece of the answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chunk {
    /// Text that is certain now. Bytes of an unfinished character and text that may turn out to be
    /// a stop string are held back until they are decided.
    pub text: String,
    /// The tokens that the text is made of.
    pub tokens: Vec<ScoredToken>,
    /// The prompt's tokens, once, in the first chunk, if their log-probabilities were asked for.
    pub prompt: Option<Vec<ScoredToken>>,
    /// What a [`Comparison`](crate::Comparison) found, once, in the first chunk.
    pub divergence: Option<Divergence>,
    /// Set in the last chunk.
    pub finish: Option<Finish>,
}

/// How far a job's next-token distributions p are from the others' q along its prompt, at
/// temperature 1: the [Kullback-Leibler divergence](https://doi.org/10.1214/aoms/1177729694)
/// `KL(p || q) = sum p ln(p / q)`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Divergence {
    /// Its sum over the compared tokens, in nats.
    pub nats: f64,
    /// How many tokens were compared.
    pub tokens: usize,
}

impl Divergence {
    /// Nats per token; `None` if no token was compared.
    #[must_use]
    pub fn mean(self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a text's length")]
        let tokens = self.tokens as f64;
        (self.tokens > 0).then(|| self.nats / tokens)
    }
}

/// How a generation ended, and what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finish {
    /// Why it ended.
    pub reason: FinishReason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them that came from the prefix cache.
    pub cached_tokens: usize,
    /// Tokens generated.
    pub completion_tokens: usize,
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its text, or a stop string or stop token was met.
    Stop,
    /// The token limit or the context's end was reached.
    Length,
}

/// Why a generation that had begun could not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The job's deadline passed.
    #[error("the deadline passed")]
    Deadline,
    /// The engine is shutting down.
    #[error("the engine is shutting down")]
    ShuttingDown,
    /// The grammar could not go on; the message does not quote the text.
    #[error("the grammar failed: {0}")]
    Grammar(String),
    /// No server can take the job now.
    #[error("no server can take the request: {0}")]
    Unavailable(String),
    /// A server did not do its part.
    #[error("an upstream server failed: {0}")]
    Upstream(String),
    /// A server holds the job itself for faulty.
    #[error("an upstream server refuses the request: {0}")]
    Refused(String),
    /// The engine is at fault.
    #[error("the engine failed: {0}")]
    Internal(String),
}

/// The stream of one job's chunks. Dropping it frees the row within one step.
pub struct Generation(Pin<Box<dyn Stream<Item = Result<Chunk, EngineError>> + Send>>);

impl Generation {
    /// Wraps an engine's stream.
    pub fn new(stream: impl Stream<Item = Result<Chunk, EngineError>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// The next chunk; `None` after the one with a [`Finish`] or an error.
    ///
    /// # Cancel safety
    /// No chunk is lost if the future is dropped before it is ready.
    pub async fn next(&mut self) -> Option<Result<Chunk, EngineError>> {
        std::future::poll_fn(|context| self.0.as_mut().poll_next(context)).await
    }
}

impl Stream for Generation {
    type Item = Result<Chunk, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Generation")
    }
}

//! The reader's end: events become chunks of text.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use model::Model;
use tokio::sync::mpsc::Receiver;

use super::outlet::Event;
use crate::sampler::Scored;
use crate::text::TextAssembler;
use crate::{Chunk, EngineError, Finish, FinishReason, Generation, ScoredToken};

/// The stream of a row's chunks.
pub(super) fn generation(
    events: Receiver<Event>,
    model: Arc<Model>,
    prompt_tokens: usize,
    stop: Vec<String>,
) -> Generation {
    Generation::new(Reader {
        events,
        model,
        prompt_tokens,
        text: TextAssembler::new(stop),
        cached_tokens: 0,
        received: 0,
        done: false,
    })
}

struct Reader {
    events: Receiver<Event>,
    model: Arc<Model>,
    prompt_tokens: usize,
    text: TextAssembler,
    cached_tokens: usize,
    received: usize,
    done: bool,
}

impl Stream for Reader {
    type Item = Result<Chunk, EngineError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        while !this.done {
            let event = ready!(this.events.poll_recv(context));
            if let Some(item) = this.take(event) {
                return Poll::Ready(Some(item));
            }
        }
        Poll::Ready(None)
    }
}

impl Reader {
    fn take(&mut self, event: Option<Event>) -> Option<Result<Chunk, EngineError>> {
        match event {
            Some(Event::Started { cached_tokens, prompt, divergence }) => {
                self.cached_tokens = cached_tokens;
                let scored = |all: Vec<_>| all.into_iter().map(|s| self.scored(s)).collect();
                let chunk = Chunk { prompt: prompt.map(scored), divergence, ..Chunk::default() };
                (chunk != Chunk::default()).then_some(Ok(chunk))
            }
            Some(Event::Token(scored)) => Some(Ok(self.take_token(scored))),
            Some(Event::Finished { reason, completion_tokens }) => {
                let text = self.text.finish();
                let reason = if self.text.stopped() { FinishReason::Stop } else { reason };
                Some(Ok(self.last(text, reason, completion_tokens)))
            }
            Some(Event::Failed(error)) => Some(Err(self.fail(error))),
            None => Some(Err(self.fail(EngineError::Internal("the engine's thread ended".into())))),
        }
    }

    fn take_token(&mut self, scored: Scored) -> Chunk {
        self.received += 1;
        let text = self.text.push_token(self.model.tokenizer(), scored.token);
        let token = self.scored(scored);
        if self.text.stopped() {
            // A token that only spells the stop string is not part of the answer.
            let tokens = if text.is_empty() { Vec::new() } else { vec![token] };
            let last = self.last(text, FinishReason::Stop, self.received);
            return Chunk { tokens, ..last };
        }
        Chunk { text, tokens: vec![token], ..Chunk::default() }
    }

    /// The last chunk. The row ends when the receiver is dropped, if it has not ended by itself.
    fn last(&mut self, text: String, reason: FinishReason, completion_tokens: usize) -> Chunk {
        self.done = true;
        self.events.close();
        let finish = Finish {
            reason,
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens,
            completion_tokens,
        };
        Chunk { text, finish: Some(finish), ..Chunk::default() }
    }

    fn fail(&mut self, error: EngineError) -> EngineError {
        self.done = true;
        self.events.close();
        error
    }

    fn scored(&self, scored: Scored) -> ScoredToken {
        let bytes = |id| self.model.tokenizer().bytes(id).unwrap_or_default().to_vec();
        ScoredToken {
            id: scored.token,
            bytes: bytes(scored.token),
            logprob: scored.logprob,
            top: scored.top.into_iter().map(|(id, logprob)| (id, bytes(id), logprob)).collect(),
        }
    }
}

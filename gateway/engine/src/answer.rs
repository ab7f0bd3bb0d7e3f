//! From drawn tokens to chunks: one answer's text, its stop strings and its end.

use std::sync::Arc;

use model::TextSide;

use crate::sampler::Scored;
use crate::text::TextAssembler;
use crate::{Chunk, Drawn, Finish, FinishReason, ScoredToken};

/// An answer under way, as its reader sees it.
#[derive(Debug)]
pub struct Answer {
    model: Arc<TextSide>,
    prompt_tokens: usize,
    cached_tokens: usize,
    text: TextAssembler,
    received: usize,
}

impl Answer {
    /// The answer to a prompt of `prompt_tokens` tokens that ends before any text of `stop`.
    #[must_use]
    pub const fn new(model: Arc<TextSide>, prompt_tokens: usize, stop: Vec<String>) -> Self {
        let text = TextAssembler::new(stop);
        Self { model, prompt_tokens, cached_tokens: 0, text, received: 0 }
    }

    /// Notes how many prompt tokens came from a cache.
    pub(crate) const fn set_cached_tokens(&mut self, tokens: usize) {
        self.cached_tokens = tokens;
    }

    /// Takes a token. The chunk is the last one if it met a stop string.
    pub fn push(&mut self, drawn: Drawn) -> Chunk {
        self.received += 1;
        let text = self.text.push_token(self.model.tokenizer(), drawn.id());
        let token = self.scored(drawn.0);
        if self.text.stopped() {
            // A token that only spells the stop string is not part of the answer.
            let tokens = if text.is_empty() { Vec::new() } else { vec![token] };
            let last = self.last(text, FinishReason::Stop, self.received);
            return Chunk { tokens, ..last };
        }
        Chunk { text, tokens: vec![token], ..Chunk::default() }
    }

    /// The last chunk, when no more tokens come. `completion_tokens` counts one that ended the
    /// text.
    pub fn finish(&mut self, reason: FinishReason, completion_tokens: usize) -> Chunk {
        let text = self.text.finish();
        let reason = if self.text.stopped() { FinishReason::Stop } else { reason };
        self.last(text, reason, completion_tokens)
    }

    fn last(&self, text: String, reason: FinishReason, completion_tokens: usize) -> Chunk {
        let finish = Finish {
            reason,
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens,
            completion_tokens,
        };
        Chunk { text, finish: Some(finish), ..Chunk::default() }
    }

    pub(crate) fn scored(&self, scored: Scored) -> ScoredToken {
        let bytes = |id| self.model.tokenizer().bytes(id).unwrap_or_default().to_vec();
        ScoredToken {
            id: scored.token,
            bytes: bytes(scored.token),
            logprob: scored.logprob,
            top: scored.top.into_iter().map(|(id, logprob)| (id, bytes(id), logprob)).collect(),
        }
    }
}

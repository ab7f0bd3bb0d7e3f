//! Replies of `/v1/completions`.

use gateway_engine::ScoredToken;
use gateway_wire::{
    Completion, CompletionChoice, CompletionChunk, CompletionChunkChoice, CompletionLogprobs, sse,
};

use super::{Head, Reply, UsageChunk};
use crate::error::ApiError;
use crate::generation::{Answer, Closing, Events, Frames, Piece};

/// Writes a completion's replies.
pub(crate) struct CompletionReply {
    head: Head,
    usage: UsageChunk,
    /// Whether log-probabilities are part of it.
    logprobs: bool,
    /// The text of each prompt, if it is to be echoed; none otherwise.
    echoes: Vec<String>,
    /// Answers to each prompt.
    n: usize,
    /// Where each answer's next token begins, in characters.
    offsets: Vec<usize>,
}

impl CompletionReply {
    pub(crate) fn new(head: Head, usage: UsageChunk, logprobs: bool) -> Self {
        Self { head, usage, logprobs, echoes: Vec::new(), n: 1, offsets: Vec::new() }
    }

    /// The same, with the prompts before the answers.
    pub(crate) fn echoing(self, echoes: Vec<String>, n: usize) -> Self {
        Self { echoes, n, ..self }
    }

    fn echo(&self, index: usize) -> &str {
        self.echoes.get(index / self.n.max(1)).map_or("", String::as_str)
    }

    fn chunk_with(&self, choices: Vec<CompletionChunkChoice>) -> CompletionChunk<'_> {
        CompletionChunk {
            id: &self.head.id,
            object: "text_completion",
            created: self.head.created,
            model: &self.head.model,
            system_fingerprint: &self.head.fingerprint,
            choices,
            usage: (self.usage == UsageChunk::Wanted).then_some(None),
            moderation: None,
            lethe: None,
        }
    }

    /// The log-probabilities of an echoed prompt and of new tokens.
    fn logprobs(
        &mut self,
        index: usize,
        prompt: Option<&[ScoredToken]>,
        tokens: &[ScoredToken],
    ) -> Option<CompletionLogprobs> {
        if !self.logprobs {
            return None;
        }
        if self.offsets.len() <= index {
            self.offsets.resize(index + 1, 0);
        }
        let mut logprobs = CompletionLogprobs::default();
        for token in prompt.unwrap_or_default().iter().chain(tokens) {
            logprobs.text_offset.push(self.offsets[index]);
            self.offsets[index] += characters(&token.bytes);
            logprobs.tokens.push(text(&token.bytes));
            logprobs.token_logprobs.push(token.logprob);
            logprobs.top_logprobs.push(token.logprob.map(|logprob| {
                let top = token.top.iter().map(|(_, bytes, logprob)| (text(bytes), *logprob));
                top.chain([(text(&token.bytes), logprob)]).collect()
            }));
        }
        Some(logprobs)
    }
}

impl Reply for CompletionReply {
    fn whole(&mut self, answers: Vec<Answer>, closing: Closing) -> Result<String, ApiError> {
        let mut choices = Vec::with_capacity(answers.len());
        for (index, answer) in answers.into_iter().enumerate() {
            let reason = answer.finish.ok_or_else(|| ApiError::internal("an answer has no end"))?;
            choices.push(CompletionChoice {
                index,
                logprobs: self.logprobs(index, answer.prompt.as_deref(), &answer.tokens),
                text: self.echo(index).to_owned() + &answer.text,
                finish_reason: reason,
            });
        }
        let reply = Completion {
            id: &self.head.id,
            object: "text_completion",
            created: self.head.created,
            model: &self.head.model,
            system_fingerprint: &self.head.fingerprint,
            choices,
            usage: closing.usage,
            moderation: closing.moderation,
            lethe: &self.head.applied,
        };
        serde_json::to_string(&reply).map_err(ApiError::internal)
    }

    fn withhold_prompts(&mut self) {
        self.echoes.clear();
    }
}

impl Frames for CompletionReply {
    /// Echoed prompts; the very first chunk says what was applied. Log-probabilities of an echoed
    /// prompt come with the answer's first chunk, since they have to be computed.
    fn opening(&mut self, answers: usize) -> Events {
        let mut events = Vec::new();
        for index in 0..answers {
            let echo = self.echo(index).to_owned();
            if index > 0 && echo.is_empty() {
                continue;
            }
            let mut chunk = self.chunk_with(vec![choice(index, echo)]);
            chunk.lethe = (index == 0).then_some(&self.head.applied);
            sse::append_json(&mut events, &chunk)?;
        }
        Ok(events)
    }

    fn piece(&mut self, index: usize, piece: Piece) -> Events {
        let mut events = Vec::new();
        let logprobs = self.logprobs(index, piece.prompt.as_deref(), &piece.tokens);
        let logprobs = logprobs.filter(|some| !some.tokens.is_empty());
        if !piece.text.is_empty() || logprobs.is_some() {
            let choice = CompletionChunkChoice { logprobs, ..choice(index, piece.text) };
            sse::append_json(&mut events, &self.chunk_with(vec![choice]))?;
        }
        if piece.finish.is_some() {
            let finish_reason = piece.finish;
            let choice = CompletionChunkChoice { finish_reason, ..choice(index, String::new()) };
            sse::append_json(&mut events, &self.chunk_with(vec![choice]))?;
        }
        Ok(events)
    }

    fn closing(&mut self, closing: Closing) -> Events {
        let mut events = Vec::new();
        if closing.moderation.is_some() {
            let last = self.chunk_with(Vec::new());
            sse::append_json(
                &mut events,
                &CompletionChunk { moderation: closing.moderation, ..last },
            )?;
        }
        if self.usage == UsageChunk::Wanted {
            let last = self.chunk_with(Vec::new());
            let usage = Some(Some(closing.usage));
            sse::append_json(&mut events, &CompletionChunk { usage, ..last })?;
        }
        Ok(events)
    }
}

const fn choice(index: usize, text: String) -> CompletionChunkChoice {
    CompletionChunkChoice { index, text, logprobs: None, finish_reason: None }
}

/// A token's text; bytes that are no text are spelled out, as in OpenAI's API, so that the tokens
/// of a place stay apart.
fn text(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().fold("bytes:".to_owned(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
            text
        }),
    }
}

/// How many characters begin in `bytes`.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

//! Replies of `/v1/chat/completions`.

use gateway_engine::ScoredToken;
use gateway_wire::{
    ChatChoice, ChatChunk, ChatCompletion, ChatLogprobs, ChunkChoice, Delta, ReplyMessage,
    TokenLogprob, TopLogprob, sse,
};

use super::{Head, Reply, UsageChunk};
use crate::error::ApiError;
use crate::generation::{Answer, Closing, Events, Frames, Piece};

const ASSISTANT: &str = "assistant";

/// Writes a chat's replies.
pub(crate) struct ChatReply {
    pub(crate) head: Head,
    pub(crate) usage: UsageChunk,
    /// Whether log-probabilities are part of it.
    pub(crate) logprobs: bool,
}

impl ChatReply {
    fn append(&self, events: &mut Vec<u8>, choice: ChunkChoice) -> Result<(), serde_json::Error> {
        sse::append_json(events, &self.chunk_with(vec![choice]))
    }

    fn chunk_with(&self, choices: Vec<ChunkChoice>) -> ChatChunk<'_> {
        ChatChunk {
            id: &self.head.id,
            object: "chat.completion.chunk",
            created: self.head.created,
            model: &self.head.model,
            system_fingerprint: &self.head.fingerprint,
            choices,
            usage: (self.usage == UsageChunk::Wanted).then_some(None),
            moderation: None,
            lethe: None,
        }
    }

    fn logprobs(&self, tokens: &[ScoredToken]) -> Option<ChatLogprobs> {
        let content = || tokens.iter().map(token_logprob).collect();
        self.logprobs.then(|| ChatLogprobs { content: content(), refusal: None })
    }
}

impl Reply for ChatReply {
    fn whole(&mut self, answers: Vec<Answer>, closing: Closing) -> Result<String, ApiError> {
        let choices = answers.into_iter().enumerate().map(|(index, answer)| {
            let reason = answer.finish.ok_or_else(|| ApiError::internal("an answer has no end"))?;
            Ok(ChatChoice {
                index,
                logprobs: self.logprobs(&answer.tokens),
                message: ReplyMessage { role: ASSISTANT, content: answer.text, refusal: None },
                finish_reason: reason,
            })
        });
        let reply = ChatCompletion {
            id: &self.head.id,
            object: "chat.completion",
            created: self.head.created,
            model: &self.head.model,
            system_fingerprint: &self.head.fingerprint,
            choices: choices.collect::<Result<_, ApiError>>()?,
            usage: closing.usage,
            moderation: closing.moderation,
            lethe: &self.head.applied,
        };
        serde_json::to_string(&reply).map_err(ApiError::internal)
    }
}

impl Frames for ChatReply {
    /// The role of each answer; the very first chunk says what was applied.
    fn opening(&mut self, answers: usize) -> Events {
        let mut events = Vec::new();
        for index in 0..answers {
            let delta = Delta { role: Some(ASSISTANT), content: Some(String::new()) };
            let mut chunk = self.chunk_with(vec![choice(index, delta)]);
            chunk.lethe = (index == 0).then_some(&self.head.applied);
            sse::append_json(&mut events, &chunk)?;
        }
        Ok(events)
    }

    fn piece(&mut self, index: usize, piece: Piece) -> Events {
        let mut events = Vec::new();
        let logprobs = self.logprobs(&piece.tokens).filter(|some| !some.content.is_empty());
        if !piece.text.is_empty() || logprobs.is_some() {
            let delta = Delta { role: None, content: Some(piece.text) };
            self.append(&mut events, ChunkChoice { logprobs, ..choice(index, delta) })?;
        }
        if piece.finish.is_some() {
            let finish_reason = piece.finish;
            self.append(
                &mut events,
                ChunkChoice { finish_reason, ..choice(index, Delta::default()) },
            )?;
        }
        Ok(events)
    }

    fn closing(&mut self, closing: Closing) -> Events {
        let mut events = Vec::new();
        if closing.moderation.is_some() {
            let last = self.chunk_with(Vec::new());
            sse::append_json(&mut events, &ChatChunk { moderation: closing.moderation, ..last })?;
        }
        if self.usage == UsageChunk::Wanted {
            let last = self.chunk_with(Vec::new());
            sse::append_json(&mut events, &ChatChunk { usage: Some(Some(closing.usage)), ..last })?;
        }
        Ok(events)
    }
}

const fn choice(index: usize, delta: Delta) -> ChunkChoice {
    ChunkChoice { index, delta, logprobs: None, finish_reason: None }
}

fn token_logprob(token: &ScoredToken) -> TokenLogprob {
    let top = token.top.iter().map(|(_, bytes, logprob)| TopLogprob {
        token: text(bytes),
        logprob: *logprob,
        bytes: bytes.clone(),
    });
    TokenLogprob {
        token: text(&token.bytes),
        // A generated token always has one if any was asked for.
        logprob: token.logprob.unwrap_or(f32::MIN),
        bytes: token.bytes.clone(),
        top_logprobs: top.collect(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! What servers understand, and how they say it.

mod llama;
mod openai;
mod vllm;

use serde_json::{Map, Value, json};

use super::fault::Fault;
use crate::sampler::Scored;
use crate::{FinishReason, Grammar, Job, ModelText, SubmitError};

pub(super) use llama::listed as llama_list;

/// What a server understands beyond OpenAI's completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// vLLM: token ids, log-probabilities of both sides, adapters placed at run time.
    Vllm,
    /// llama.cpp's server: its own completions, adapters chosen from those it was started with.
    Llama,
    /// Any other server: OpenAI's completions with the prompt as token ids, without adapters.
    OpenAi,
}

/// Which adapters a server is told to use.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    /// The model of this name, as it is or with an adapter placed under it.
    Named(String),
    /// All adapters that the server has, by its ids, each with its scale.
    Scales(Vec<(u64, f32)>),
}

/// What a server says of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// The prompt's tokens with their scores.
    Prompt(Vec<Scored>),
    /// A token was drawn.
    Token(Scored),
    /// Text was generated whose tokens it does not tell.
    Text(String),
    /// No more tokens come.
    Finished(FinishReason),
    /// What it took.
    Used { cached_tokens: usize, completion_tokens: usize },
    /// The name of the model that answers.
    Model(String),
    /// The stream is over.
    Done,
}

impl Dialect {
    /// Refuses what cannot be said.
    pub(super) fn check(self, job: &Job) -> Result<(), SubmitError> {
        let missing = match self {
            Self::Vllm => None,
            Self::Llama => llama::missing(job),
            Self::OpenAi => openai::missing(job),
        };
        missing.map_or(Ok(()), |what| {
            Err(SubmitError::Unsupported(format!("{what} with this kind of upstream server")))
        })
    }

    /// Where completions are.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Vllm | Self::OpenAi => "/v1/completions",
            Self::Llama => "/completion",
        }
    }

    /// Where its health is seen. A server of no known kind lists its models if it is well.
    pub(super) const fn health_path(self) -> &'static str {
        match self {
            Self::Vllm | Self::Llama => "/health",
            Self::OpenAi => "/v1/models",
        }
    }

    /// What the server is asked.
    pub(super) fn request(self, job: &Job, target: &Target) -> Value {
        Value::Object(match self {
            Self::Vllm => vllm::request(job, target),
            Self::Llama => llama::request(job, target),
            Self::OpenAi => openai::request(job, target),
        })
    }

    /// Whether the answer comes in one piece: vLLM scores prompts in no other way.
    pub(super) const fn is_whole(self, job: &Job) -> bool {
        matches!(self, Self::Vllm) && job.logprobs.prompt.is_some()
    }

    /// What the data of one event say.
    ///
    /// # Errors
    /// [`Fault::Garbage`] if they are not understood.
    pub(super) fn read(self, data: &str, job: &Job) -> Result<Vec<Said>, Fault> {
        if data == "[DONE]" {
            return Ok(vec![Said::Done]);
        }
        let value: Value = serde_json::from_str(data).map_err(|_| Fault::Garbage)?;
        if let Some(error) = value.get("error") {
            return Err(failure(error));
        }
        match self {
            Self::Vllm => vllm::read(&value, job),
            Self::Llama => llama::read(&value),
            Self::OpenAi => openai::read(&value),
        }
        .ok_or(Fault::Garbage)
    }

    /// The ids of a text whose tokens the server does not tell: its tokens, or others that spell
    /// the same.
    pub(super) fn spell(text: &ModelText, piece: &str) -> Result<Vec<Scored>, Fault> {
        let ids = text.tokenize(piece, crate::ControlTokens::AsText);
        Ok(ids.map_err(|_| Fault::Garbage)?.into_iter().map(Scored::unscored).collect())
    }
}

/// An error in place of a piece of the answer.
fn failure(error: &Value) -> Fault {
    let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    match code {
        Some(code @ 400..500) => Fault::Refused(code),
        Some(503) => Fault::Overloaded,
        code => Fault::Failed(code.unwrap_or(500)),
    }
}

/// The fields that all dialects share, and `more`, which is an object.
fn common(job: &Job, more: Value) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("prompt".into(), job.prompt.clone().into());
    fields.insert("stream".into(), true.into());
    fields.insert("temperature".into(), job.sampling.temperature.into());
    fields.insert("top_p".into(), job.sampling.top_p.into());
    if let Value::Object(more) = more {
        fields.extend(more);
    }
    fields
}

/// The fields of OpenAI's completions, and `more`, which is an object.
fn completions(job: &Job, target: &Target, more: Value) -> Map<String, Value> {
    let mut fields = common(job, more);
    let sampling = &job.sampling;
    if let Target::Named(name) = target {
        fields.insert("model".into(), name.clone().into());
    }
    fields.insert("presence_penalty".into(), sampling.presence_penalty.into());
    fields.insert("frequency_penalty".into(), sampling.frequency_penalty.into());
    fields.insert("stream_options".into(), json!({"include_usage": true}));
    if !sampling.logit_bias.is_empty() {
        let bias = sampling.logit_bias.iter().map(|(id, bias)| (id.to_string(), json!(bias)));
        fields.insert("logit_bias".into(), Value::Object(bias.collect()));
    }
    fields
}

impl Target {
    /// The scales as llama.cpp's server is told them.
    pub(super) fn scales(&self) -> Vec<Value> {
        match self {
            Self::Named(_) => Vec::new(),
            Self::Scales(scales) => {
                scales.iter().map(|(id, scale)| json!({"id": id, "scale": scale})).collect()
            }
        }
    }
}

/// The schema that `grammar` asks for, if it does; any object has one too.
fn schema(grammar: &Grammar) -> Option<Value> {
    match grammar {
        Grammar::Free => None,
        Grammar::JsonObject => Some(json!({"type": "object"})),
        Grammar::JsonSchema(schema) => Some(schema.clone()),
    }
}

/// A count in a server's answer.
fn count(value: &Value, pointer: &str) -> Option<usize> {
    value.pointer(pointer).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok())
}

/// A token id in a server's answer.
fn token_id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

/// A log-probability in a server's answer; one that is not finite is no number in JSON.
#[expect(clippy::cast_possible_truncation, reason = "log-probabilities are reported in f32")]
fn logprob(value: &Value) -> Option<f32> {
    value.as_f64().map(|logprob| logprob as f32)
}

/// OpenAI's words for an end; `None` for one that is none, such as `error`.
fn finish(word: &str) -> Option<FinishReason> {
    match word {
        "stop" => Some(FinishReason::Stop),
        "length" => Some(FinishReason::Length),
        _ => None,
    }
}

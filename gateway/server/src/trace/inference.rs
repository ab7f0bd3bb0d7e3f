//! The span of a request's answers, by the
//! [conventions for generative AI](https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/).
//!
//! **Invariant:** no text of a prompt, an answer or a stop text is in it.

use std::time::{Duration, Instant};

use gateway_wire::Options;

use super::span::{Attributes, Value};
use crate::error::Code;

/// What we are called as a maker of answers.
const PROVIDER: &str = "lethe";

/// What a handler knows of the answers beside what is to be generated.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) operation: Operation,
    /// The model, as the request names it.
    pub(crate) asked: String,
    /// The reply's id.
    pub(crate) reply: String,
    pub(crate) streams: bool,
}

/// Which of the two completion APIs it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Chat,
    TextCompletion,
}

/// The answers of a request, as far as they are known.
#[derive(Debug)]
pub(crate) struct Inference {
    pub(super) name: String,
    pub(super) attributes: Attributes,
    pub(super) began: Instant,
    pub(super) answered: Option<Answered>,
}

/// What became of the answers.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) prompt_tokens: usize,
    pub(crate) cached_tokens: usize,
    pub(crate) completion_tokens: usize,
    /// Why each answer ended that did.
    pub(crate) finishes: Vec<&'static str>,
    /// From the request to its first token.
    pub(crate) first: Option<Duration>,
    pub(crate) ended: Instant,
    /// Whether they were given up because the client hung up.
    pub(crate) cancelled: bool,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
        }
    }
}

impl Inference {
    /// Answers of `model` with `adapters`, which begin at `began`.
    pub(crate) fn new(
        subject: &Subject,
        options: &Options,
        model: &str,
        adapters: &str,
        began: Instant,
    ) -> Self {
        let mut attributes = Attributes::default();
        let operation = subject.operation.as_str();
        attributes.set("gen_ai.operation.name", operation);
        attributes.set("gen_ai.provider.name", PROVIDER);
        attributes.set("gen_ai.request.model", subject.asked.clone());
        attributes.set("gen_ai.response.model", model.to_owned());
        attributes.set("gen_ai.response.id", subject.reply.clone());
        attributes.set("lethe.adapters", adapters.to_owned());
        if subject.streams {
            attributes.set("gen_ai.request.stream", true);
        }
        set_options(&mut attributes, options);
        // What the request names may have a scale in it, and spans of one kind have one name.
        let name = format!("{operation} {model}");
        Self { name, attributes, began, answered: None }
    }

    /// What became of them.
    pub(crate) fn end(&mut self, answered: Answered) {
        let attributes = &mut self.attributes;
        attributes.set("gen_ai.usage.input_tokens", answered.prompt_tokens);
        attributes.set("gen_ai.usage.output_tokens", answered.completion_tokens);
        attributes.set("gen_ai.usage.cache_read.input_tokens", answered.cached_tokens);
        if !answered.finishes.is_empty() {
            let finishes = Value::Texts(answered.finishes.clone());
            attributes.set("gen_ai.response.finish_reasons", finishes);
        }
        if let Some(first) = answered.first {
            attributes.set("gen_ai.response.time_to_first_chunk", first.as_secs_f64());
        }
        self.answered = Some(answered);
    }

    /// Why there is not all that was asked for, if the request failed with `code` or not at all.
    pub(super) fn error(&self, code: Option<Code>) -> Option<Code> {
        let cancelled = self.answered.as_ref().is_some_and(|answered| answered.cancelled);
        code.or(cancelled.then_some(Code::ClientGone))
    }
}

/// What was asked for; what is off is left out.
fn set_options(attributes: &mut Attributes, options: &Options) {
    attributes.set("gen_ai.request.temperature", options.temperature);
    attributes.set("gen_ai.request.top_p", options.top_p);
    if options.top_k > 0 {
        attributes.set("gen_ai.request.top_k", options.top_k);
    }
    for (name, penalty) in [
        ("gen_ai.request.presence_penalty", options.presence_penalty),
        ("gen_ai.request.frequency_penalty", options.frequency_penalty),
    ] {
        if penalty.abs() > 0.0 {
            attributes.set(name, penalty);
        }
    }
    if let Some(max_tokens) = options.max_tokens {
        attributes.set("gen_ai.request.max_tokens", max_tokens);
    }
    if let Some(seed) = options.seed {
        // Signed, like every whole number of an attribute.
        attributes.set("gen_ai.request.seed", Value::Integer(seed.cast_signed()));
    }
    if options.n != 1 {
        attributes.set("gen_ai.request.choice.count", options.n);
    }
}

//! `POST /v1/completions`: the request.

mod prompt;
mod reply;

pub use prompt::Prompt;
pub use reply::{Completion, CompletionChoice, CompletionChunk, CompletionChunkChoice};

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::object::Object;
use crate::options::{MAX_CHOICES, MAX_TOP_LOGPROBS};
use crate::schema::{self, Unknown};
use crate::selection::Selection;
use crate::{Delivery, Fault, ModerationParam, Options, RequestError, ResponseFormat, extras};

/// New tokens if the request does not say, as in OpenAI's API.
const DEFAULT_MAX_TOKENS: usize = 16;

/// What `best_of` may be in OpenAI's API.
const MAX_BEST_OF: RangeInclusive<u32> = 0..=20;

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletionRequest {
    /// What `model` says; it may carry or be a choice of adapters.
    pub model: String,
    /// The prompts, at least one; each gets `options.n` choices.
    pub prompts: Vec<Prompt>,
    /// How the answer is drawn; the token limit is always set.
    pub options: Options,
    /// What the answer must conform to.
    pub format: ResponseFormat,
    /// Whether log-probabilities are wanted, and with how many alternatives.
    pub logprobs: Option<usize>,
    /// Whether the prompt is part of the answer.
    pub echo: bool,
    /// Whether the reply is a stream.
    pub delivery: Delivery,
    /// The adapters that the body names, if it says anything about them.
    pub adapters: Option<Selection>,
    /// The moderation that is asked for, if any is.
    pub moderation: Option<ModerationParam>,
    /// Fields that were accepted and ignored, each by its known name or as `other`.
    pub ignored: Vec<&'static str>,
}

impl CompletionRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] names the first parameter at fault.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let mut object = Object::parse(body)?;
        let mut ignored = Vec::new();
        let mut options = Options::take(&mut object, &["max_tokens"], 0)?;
        options.max_tokens.get_or_insert(DEFAULT_MAX_TOKENS.max(options.min_tokens));
        let top = u32::try_from(MAX_TOP_LOGPROBS).unwrap_or(0);
        let request = Self {
            model: object.required_text("model")?,
            prompts: prompt::take(&mut object)?,
            format: ResponseFormat::take(&mut object)?,
            logprobs: object.count("logprobs", 0..=top)?,
            echo: object.flag("echo")?.unwrap_or(false),
            delivery: Delivery::take(&mut object, &mut ignored)?,
            adapters: Selection::take(&mut object)?,
            moderation: ModerationParam::take(&mut object)?,
            options,
            ignored: Vec::new(),
        };
        request.check_choices()?;
        check_best_of(&mut object, request.options.n)?;
        extras::take(&mut object, &mut ignored)?;
        Ok(Self { ignored, ..request })
    }

    /// What [`Self::parse`] takes.
    pub(crate) fn schema() -> Value {
        let required = vec![("model", schema::model()), ("prompt", prompt::schema())];
        let top = schema::integer(&(0..=MAX_TOP_LOGPROBS));
        let mut optional = Options::fields(&["max_tokens"], 0);
        optional.extend([
            ("response_format", ResponseFormat::schema()),
            ("logprobs", schema::about("Alternatives beside each token.", top)),
            ("echo", schema::about("Whether the prompt is part of the answer.", schema::flag())),
            ("best_of", schema::about("Must be `n`.", schema::integer(&MAX_BEST_OF))),
            ("moderation", ModerationParam::schema()),
        ]);
        optional.extend(Delivery::fields());
        optional.extend(Selection::fields());
        optional.extend(extras::fields());
        schema::object(required, optional, Unknown::Ignored)
    }

    fn check_choices(&self) -> Result<(), RequestError> {
        if self.prompts.len() * self.options.n > MAX_CHOICES {
            let fault = Fault::TooMany { limit: MAX_CHOICES, what: "choices (prompts times n)" };
            return Err(RequestError::at("prompt", fault));
        }
        Ok(())
    }
}

/// Drawing more answers than are returned, and ranking them, is not supported.
fn check_best_of(object: &mut Object, n: usize) -> Result<(), RequestError> {
    match object.count("best_of", MAX_BEST_OF)? {
        Some(best_of) if best_of != n => Err(RequestError::unsupported("best_of")),
        Some(_) | None => Ok(()),
    }
}

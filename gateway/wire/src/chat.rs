//! `POST /v1/chat/completions`: the request.

mod message;
mod reply;

pub use message::{Message, Role};
pub(crate) use message::{schema as messages_schema, take as take_messages};
pub use reply::{ChatChoice, ChatChunk, ChatCompletion, ChunkChoice, Delta, ReplyMessage};

use serde_json::Value;

use crate::object::Object;
use crate::options::MAX_TOP_LOGPROBS;
use crate::schema::{self, Unknown};
use crate::selection::Selection;
use crate::{Delivery, ModerationParam, Options, RequestError, ResponseFormat, extras};

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// What `model` says; it may carry or be a choice of adapters.
    pub model: String,
    /// The conversation, at least one turn.
    pub messages: Vec<Message>,
    /// How the answer is drawn.
    pub options: Options,
    /// What the answer must conform to.
    pub format: ResponseFormat,
    /// Whether log-probabilities are wanted, and with how many alternatives.
    pub logprobs: Option<usize>,
    /// Whether the reply is a stream.
    pub delivery: Delivery,
    /// The adapters that the body names, if it says anything about them.
    pub adapters: Option<Selection>,
    /// The moderation that is asked for, if any is.
    pub moderation: Option<ModerationParam>,
    /// Fields that were accepted and ignored, each by its known name or as `other`.
    pub ignored: Vec<&'static str>,
}

impl ChatRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] names the first parameter at fault.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let mut object = Object::parse(body)?;
        let mut ignored = Vec::new();
        let request = Self {
            model: object.required_text("model")?,
            messages: take_messages(&mut object, &mut ignored)?,
            options: Options::take(&mut object, &["max_completion_tokens", "max_tokens"], 1)?,
            format: ResponseFormat::take(&mut object)?,
            logprobs: take_logprobs(&mut object)?,
            delivery: Delivery::take(&mut object, &mut ignored)?,
            adapters: Selection::take(&mut object)?,
            moderation: ModerationParam::take(&mut object)?,
            ignored: Vec::new(),
        };
        extras::take(&mut object, &mut ignored)?;
        Ok(Self { ignored, ..request })
    }

    /// What [`Self::parse`] takes.
    pub(crate) fn schema() -> Value {
        let required = vec![("model", schema::model()), ("messages", messages_schema())];
        let mut optional = Options::fields(&["max_completion_tokens", "max_tokens"], 1);
        optional.extend([
            ("response_format", ResponseFormat::schema()),
            ("logprobs", schema::about("Whether log-probabilities are wanted.", schema::flag())),
            ("top_logprobs", {
                let range = 0..=MAX_TOP_LOGPROBS;
                schema::about(
                    "Alternatives beside each token; needs `logprobs`.",
                    schema::integer(&range),
                )
            }),
            ("moderation", ModerationParam::schema()),
        ]);
        optional.extend(Delivery::fields());
        optional.extend(Selection::fields());
        optional.extend(extras::fields());
        schema::object(required, optional, Unknown::Ignored)
    }
}

fn take_logprobs(object: &mut Object) -> Result<Option<usize>, RequestError> {
    let wanted = object.flag("logprobs")?.unwrap_or(false);
    let top = object.count("top_logprobs", 0..=u32::try_from(MAX_TOP_LOGPROBS).unwrap_or(0))?;
    if top.is_some() && !wanted {
        return Err(RequestError::invalid("top_logprobs", "it needs 'logprobs': true"));
    }
    Ok(wanted.then(|| top.unwrap_or(0)))
}

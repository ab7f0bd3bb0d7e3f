//! The field `moderation` of completion requests, and `POST /v1/moderations`.

use serde_json::Value;

use crate::object::{Located, Object};
use crate::schema::{self, Unknown};
use crate::{Fault, RequestError, extras};

/// The most inputs of a request, and the most parts of an input.
const MAX_INPUTS: usize = 2_048;

/// What is done with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModerationMode {
    /// Its scores are reported.
    Score,
    /// It does not pass if it is flagged.
    Block,
}

/// What a completion request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModerationParam {
    /// The scorer.
    pub model: String,
    /// What is done with the prompt. Who asks for moderation without a policy asks for scores.
    pub input: ModerationMode,
    /// What is done with the answers.
    pub output: ModerationMode,
}

/// A checked request of `POST /v1/moderations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModerationRequest {
    /// The scorer, if the request says which.
    pub model: Option<String>,
    /// The texts, at least one. The text parts of one multi-modal input are lines of one text.
    pub inputs: Vec<String>,
    /// Unknown fields, each as `other`.
    pub ignored: Vec<&'static str>,
}

impl ModerationParam {
    /// Takes `moderation`.
    pub(crate) fn take(object: &mut Object) -> Result<Option<Self>, RequestError> {
        let Some(mut moderation) = object.object("moderation")? else { return Ok(None) };
        let model = moderation.required_text("model")?;
        let (mut input, mut output) = (ModerationMode::Score, ModerationMode::Score);
        if let Some(mut policy) = moderation.object("policy")? {
            input = take_mode(&mut policy, "input")?;
            output = take_mode(&mut policy, "output")?;
            policy.refuse_remaining()?;
        }
        moderation.refuse_remaining()?;
        Ok(Some(Self { model, input, output }))
    }

    /// What [`Self::take`] takes.
    pub(crate) fn schema() -> Value {
        let object = |required, optional| schema::object(required, optional, Unknown::Refused);
        let mode = || object(vec![("mode", schema::one_of(&["score", "block"]))], Vec::new());
        let policy = object(Vec::new(), vec![("input", mode()), ("output", mode())]);
        let moderation = object(vec![("model", schema::text())], vec![("policy", policy)]);
        schema::about("Scores of the prompt and the answers.", moderation)
    }
}

fn take_mode(policy: &mut Object, direction: &str) -> Result<ModerationMode, RequestError> {
    let Some(mut config) = policy.object(direction)? else { return Ok(ModerationMode::Score) };
    let mode = match config.required_text("mode")?.as_str() {
        "score" => ModerationMode::Score,
        "block" => ModerationMode::Block,
        _ => {
            let fault = "it must be 'score' or 'block'";
            return Err(RequestError::invalid(config.path("mode"), fault));
        }
    };
    config.refuse_remaining()?;
    Ok(mode)
}

impl ModerationRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] names the first parameter at fault.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let mut object = Object::parse(body)?;
        let (model, inputs) = (object.text("model")?, take_inputs(&mut object)?);
        let ignored = object.remaining().map(|_| extras::OTHER).collect();
        Ok(Self { model, inputs, ignored })
    }

    /// What [`Self::parse`] takes.
    pub(crate) fn schema() -> Value {
        let part = vec![("type", schema::word("text")), ("text", schema::text())];
        let part = schema::object(part, Vec::new(), Unknown::Refused);
        let several = |items| schema::list(items, 1, MAX_INPUTS);
        let input = schema::any_of(vec![schema::text(), several(schema::text()), several(part)]);
        let input = schema::about("A text, several, or the text parts of one.", input);
        let model = schema::about("The scorer.", schema::text());
        schema::object(vec![("input", input)], vec![("model", model)], Unknown::Ignored)
    }
}

fn take_inputs(object: &mut Object) -> Result<Vec<String>, RequestError> {
    let found = object.take("input").ok_or_else(|| object.missing("input"))?;
    match &found.value {
        Value::String(_) => Ok(vec![found.into_text()?]),
        Value::Array(items) if items.is_empty() => {
            Err(RequestError::invalid(found.path, "it is empty"))
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            let parts = found.into_list(MAX_INPUTS)?.into_iter().map(into_part);
            Ok(vec![parts.collect::<Result<Vec<_>, _>>()?.join("\n")])
        }
        Value::Array(_) => {
            found.into_list(MAX_INPUTS)?.into_iter().map(Located::into_text).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(found.type_error("a string, an array of strings, or an array of text parts"))
        }
    }
}

fn into_part(part: Located) -> Result<String, RequestError> {
    let mut object = part.into_object()?;
    let kind = object.required_text("type")?;
    match kind.as_str() {
        "text" => {
            let text = object.required_text("text")?;
            object.refuse_remaining()?;
            Ok(text)
        }
        "image_url" => Err(RequestError::at(
            object.path("type"),
            Fault::Unsupported("a part of type 'image_url'".to_owned()),
        )),
        _ => Err(RequestError::invalid(object.path("type"), "it must be 'text'")),
    }
}

//! `prompt`: one text, one list of tokens, or several of either.

use serde_json::Value;

use crate::RequestError;
use crate::object::{Located, Object};
use crate::options::MAX_CHOICES;
use crate::schema;

/// The most tokens in a prompt of token ids; any context is shorter.
const MAX_PROMPT_TOKENS: usize = 1 << 20;

/// What is to be completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// A text.
    Text(String),
    /// Token ids.
    Tokens(Vec<u32>),
}

/// Takes `prompt`.
pub(super) fn take(object: &mut Object) -> Result<Vec<Prompt>, RequestError> {
    let found = object.take("prompt").ok_or_else(|| object.missing("prompt"))?;
    let prompts = match &found.value {
        Value::String(_) => vec![Prompt::Text(found.into_text()?)],
        Value::Array(items) if items.first().is_some_and(Value::is_number) => {
            vec![into_tokens(found)?]
        }
        Value::Array(_) => {
            found.into_list(MAX_CHOICES)?.into_iter().map(into_prompt).collect::<Result<_, _>>()?
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(found.type_error("a string, an array of strings, or token ids"));
        }
    };
    if prompts.is_empty() {
        return Err(RequestError::invalid("prompt", "it is empty"));
    }
    Ok(prompts)
}

fn into_prompt(item: Located) -> Result<Prompt, RequestError> {
    match &item.value {
        Value::String(_) => item.into_text().map(Prompt::Text),
        Value::Array(_) => into_tokens(item),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(item.type_error("a string or an array of token ids"))
        }
    }
}

fn into_tokens(item: Located) -> Result<Prompt, RequestError> {
    let items = item.into_list(MAX_PROMPT_TOKENS)?;
    items.into_iter().map(Located::into_token).collect::<Result<_, _>>().map(Prompt::Tokens)
}

/// What [`take`] takes.
pub(super) fn schema() -> Value {
    let tokens = |least| schema::list(schema::token(), least, MAX_PROMPT_TOKENS);
    let several = schema::list(schema::any_of(vec![schema::text(), tokens(0)]), 1, MAX_CHOICES);
    let prompt = schema::any_of(vec![schema::text(), tokens(1), several]);
    schema::about("A text, token ids, or several of either.", prompt)
}

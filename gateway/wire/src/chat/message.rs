//! The turns of a conversation.

use serde_json::{Value, json};

use crate::RequestError;
use crate::object::{Located, Object};
use crate::schema::{self, Unknown};

/// The most turns of a conversation, and the most parts of a turn.
const MAX_MESSAGES: usize = 4_096;

/// A turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; text parts are put one after another.
    pub content: String,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The application (`system`, and `developer`, its newer name).
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The word that chat templates use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// Takes `messages`.
pub(crate) fn take(
    object: &mut Object,
    ignored: &mut Vec<&'static str>,
) -> Result<Vec<Message>, RequestError> {
    let items = object.list("messages", MAX_MESSAGES)?.ok_or_else(|| object.missing("messages"))?;
    if items.is_empty() {
        return Err(RequestError::invalid("messages", "it must have at least one message"));
    }
    items.into_iter().map(|item| into_message(item, ignored)).collect()
}

fn into_message(item: Located, ignored: &mut Vec<&'static str>) -> Result<Message, RequestError> {
    let mut object = item.into_object()?;
    let role = take_role(&mut object)?;
    let content = object.take("content").ok_or_else(|| object.missing("content"));
    if object.text("name")?.is_some() {
        ignored.push("messages.name");
    }
    for field in ["tool_calls", "function_call", "audio"] {
        match object.take(field) {
            None => {}
            Some(found) if found.value == Value::Array(Vec::new()) => {}
            Some(found) => return Err(RequestError::unsupported(&found.path)),
        }
    }
    let content = into_content(content?)?;
    for _ in object.remaining() {
        ignored.push(crate::extras::OTHER);
    }
    Ok(Message { role, content })
}

fn take_role(object: &mut Object) -> Result<Role, RequestError> {
    match object.required_text("role")?.as_str() {
        "system" | "developer" => Ok(Role::System),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        role @ ("tool" | "function") => Err(RequestError::at(
            object.path("role"),
            crate::Fault::Unsupported(format!("the role '{role}'")),
        )),
        _ => Err(RequestError::invalid(
            object.path("role"),
            "it must be 'system', 'developer', 'user' or 'assistant'",
        )),
    }
}

fn into_content(found: Located) -> Result<String, RequestError> {
    match found.value {
        Value::String(text) => Ok(text),
        Value::Array(_) => {
            let parts = found.into_list(MAX_MESSAGES)?;
            parts.into_iter().map(into_part).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(found.type_error("a string or an array of text parts"))
        }
    }
}

fn into_part(part: Located) -> Result<String, RequestError> {
    let mut object = part.into_object()?;
    let kind = object.required_text("type")?;
    match kind.as_str() {
        "text" => object.required_text("text"),
        "image_url" | "input_audio" | "file" | "refusal" => Err(RequestError::at(
            object.path("type"),
            crate::Fault::Unsupported(format!("a part of type '{kind}'")),
        )),
        _ => Err(RequestError::invalid(object.path("type"), "it must be 'text'")),
    }
}

/// What [`take`] takes.
pub(crate) fn schema() -> Value {
    let text = vec![("type", schema::word("text")), ("text", schema::text())];
    let part = schema::object(text, Vec::new(), Unknown::Ignored);
    let content = schema::any_of(vec![schema::text(), schema::list(part, 0, MAX_MESSAGES)]);
    let none = json!({"type": "array", "maxItems": 0});
    let required = vec![
        ("role", schema::one_of(&["system", "developer", "user", "assistant"])),
        ("content", schema::about("A text, or parts that are put one after another.", content)),
    ];
    let optional = vec![
        ("name", schema::about("Accepted and ignored.", schema::text())),
        ("tool_calls", none.clone()),
        ("function_call", none.clone()),
        ("audio", none),
    ];
    let message = schema::object(required, optional, Unknown::Ignored);
    schema::about("The conversation.", schema::list(message, 1, MAX_MESSAGES))
}

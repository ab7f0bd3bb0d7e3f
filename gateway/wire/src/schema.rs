//! Words for the schemas of request bodies.
//!
//! A request is read by hand, so its schema is written by hand, beside its parser and with the
//! parser's own limits. `null` is the same as absent, so every field that may be left out may be
//! null as well.

use std::ops::RangeInclusive;

use schemars::Schema;
use serde_json::{Map, Value, json};

/// A field's name and what it takes.
pub(crate) type Field = (&'static str, Value);

/// What an object does with fields that it does not know.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unknown {
    /// They are ignored, and counted.
    Ignored,
    /// They are refused, unless they are null.
    Refused,
}

/// An object with fields that must be there and fields that may.
pub(crate) fn object(required: Vec<Field>, optional: Vec<Field>, unknown: Unknown) -> Value {
    let names: Vec<_> = required.iter().map(|(name, _)| *name).collect();
    let optional = optional.into_iter().map(|(name, value)| (name, nullable(value)));
    let fields = required.into_iter().chain(optional).map(|(name, value)| (name.to_owned(), value));
    let mut schema = json!({"type": "object", "properties": Map::from_iter(fields)});
    if !names.is_empty() {
        schema["required"] = json!(names);
    }
    if matches!(unknown, Unknown::Refused) {
        schema["additionalProperties"] = json!({"type": "null"});
    }
    schema
}

/// The schema of a body.
pub(crate) fn body(schema: Value) -> Schema {
    Schema::try_from(schema).unwrap_or_default()
}

/// `schema`, and what it is about.
pub(crate) fn about(description: impl Into<String>, mut schema: Value) -> Value {
    schema["description"] = description.into().into();
    schema
}

pub(crate) fn text() -> Value {
    json!({"type": "string"})
}

pub(crate) fn flag() -> Value {
    json!({"type": "boolean"})
}

pub(crate) fn integer<T: serde::Serialize>(range: &RangeInclusive<T>) -> Value {
    json!({"type": "integer", "minimum": range.start(), "maximum": range.end()})
}

pub(crate) fn number(range: &RangeInclusive<f64>) -> Value {
    json!({"type": "number", "minimum": range.start(), "maximum": range.end()})
}

pub(crate) fn list(items: Value, least: usize, most: usize) -> Value {
    let mut schema = json!({"type": "array", "minItems": least, "maxItems": most});
    schema["items"] = items;
    schema
}

pub(crate) fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// A text that may only be `word`.
pub(crate) fn word(word: &str) -> Value {
    one_of(&[word])
}

pub(crate) fn any_of(schemas: Vec<Value>) -> Value {
    Value::Object(Map::from_iter([("anyOf".to_owned(), Value::Array(schemas))]))
}

/// The token ids that may be given.
pub(crate) fn token() -> Value {
    integer(&(0..=u32::MAX))
}

/// `schema`, or null.
fn nullable(mut schema: Value) -> Value {
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.push(json!({"type": "null"}));
        return schema;
    }
    if let Some(kind) = schema.get("type").cloned() {
        schema["type"] = json!([kind, "null"]);
        if let Some(Value::Array(words)) = schema.get_mut("enum") {
            words.push(Value::Null);
        }
    }
    schema
}

/// What `model` of a completion request takes.
pub(crate) fn model() -> Value {
    about(
        "The base model, with `::` and adapters behind it if wanted, an adapter or a preset.",
        text(),
    )
}

/// A name that an adapter can have.
pub(crate) fn adapter_name() -> Value {
    json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"})
}

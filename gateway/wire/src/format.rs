//! `response_format`: what the answer must conform to.

use serde_json::{Value, json};

use crate::RequestError;
use crate::object::Object;
use crate::schema::{self, Unknown};

/// What the answer must conform to.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ResponseFormat {
    /// Any text.
    #[default]
    Text,
    /// One JSON object.
    JsonObject,
    /// One JSON value that the schema accepts.
    JsonSchema(Value),
}

impl ResponseFormat {
    pub(crate) fn take(object: &mut Object) -> Result<Self, RequestError> {
        let Some(mut format) = object.object("response_format")? else {
            return Ok(Self::default());
        };
        let result = match format.required_text("type")?.as_str() {
            "text" => Self::Text,
            "json_object" => Self::JsonObject,
            "json_schema" => {
                let schema = format.object("json_schema")?;
                take_schema(schema.ok_or_else(|| format.missing("json_schema"))?)?
            }
            _ => {
                let fault = "it must be 'text', 'json_object' or 'json_schema'";
                return Err(RequestError::invalid(format.path("type"), fault));
            }
        };
        format.refuse_remaining()?;
        Ok(result)
    }

    /// What [`Self::take`] takes.
    pub(crate) fn schema() -> Value {
        let plain = vec![("type", schema::one_of(&["text", "json_object"]))];
        let named = vec![
            ("name", json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})),
            ("schema", json!({"type": "object"})),
        ];
        let optional = vec![("description", schema::text()), ("strict", schema::flag())];
        let named = schema::object(named, optional, Unknown::Refused);
        let schema = vec![("type", schema::word("json_schema")), ("json_schema", named)];
        let choices =
            [plain, schema].map(|fields| schema::object(fields, Vec::new(), Unknown::Refused));
        schema::about("What the answer must conform to.", schema::any_of(choices.into()))
    }
}

/// `strict` is checked for its type only: the answer always conforms.
fn take_schema(mut named: Object) -> Result<ResponseFormat, RequestError> {
    let name = named.required_text("name")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        let fault = "it must have 1 to 64 letters, digits, '_' or '-'";
        return Err(RequestError::invalid(named.path("name"), fault));
    }
    named.text("description")?;
    named.flag("strict")?;
    let schema = named.take("schema").ok_or_else(|| named.missing("schema"))?;
    if !schema.value.is_object() {
        return Err(schema.type_error("an object"));
    }
    named.refuse_remaining()?;
    Ok(ResponseFormat::JsonSchema(schema.value))
}

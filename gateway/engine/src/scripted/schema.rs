//! The least value that a JSON schema accepts, for the keywords that tests use.

use serde_json::{Map, Value, json};

/// Builds a value, or says which keyword is not known.
pub(super) fn instance(schema: &Value) -> Result<Value, String> {
    if let Some(value) = schema.get("const") {
        return Ok(value.clone());
    }
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return Ok(first.clone());
    }
    if let Some(first) = schema.get("anyOf").and_then(|schemas| schemas.get(0)) {
        return instance(first);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => object(schema),
        Some("array") => array(schema),
        Some("string") => Ok(json!("")),
        Some("number" | "integer") => Ok(schema.get("minimum").cloned().unwrap_or(json!(0))),
        Some("boolean") => Ok(json!(false)),
        Some("null") => Ok(Value::Null),
        Some(_) | None => Err("a schema needs 'type', 'enum', 'const' or 'anyOf'".to_owned()),
    }
}

fn object(schema: &Value) -> Result<Value, String> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(json!({}));
    };
    let fields: Result<Map<_, _>, _> = properties
        .iter()
        .map(|(name, schema)| instance(schema).map(|value| (name.clone(), value)))
        .collect();
    fields.map(Value::Object)
}

fn array(schema: &Value) -> Result<Value, String> {
    let count = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(64);
    let items = schema.get("items").cloned().unwrap_or(json!({"type": "null"}));
    (0..count).map(|_| instance(&items)).collect::<Result<_, _>>().map(Value::Array)
}

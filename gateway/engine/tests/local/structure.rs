//! Structured output.

use gateway_engine::{Engine, Grammar, SubmitError};
use serde_json::{Value, json};

use crate::house::{answer, catalogue, engine, job, prompt, small, vector};

#[tokio::test]
async fn a_schema_is_met_whatever_the_model_would_say() {
    let engine = engine(&small());
    let schema = json!({
        "type": "object",
        "properties": { "kind": { "enum": ["a", "b"] }, "count": { "type": "integer", "minimum": 0, "maximum": 99 } },
        "required": ["kind", "count"],
        "additionalProperties": false
    });
    for seed in 0..3 {
        let mut structured = job(prompt(9, seed), vector(&catalogue(), &[]));
        structured.grammar = Grammar::JsonSchema(schema.clone());
        structured.limits.max_tokens = 200;
        structured.limits.ignore_eos = false;
        let got = answer(&engine, structured).await;
        let value: Value = serde_json::from_str(&got.text).expect("JSON");
        assert!(["a", "b"].contains(&value["kind"].as_str().expect("a string")), "{value}");
        assert!(value["count"].as_u64().expect("a number") <= 99, "{value}");
    }
}

#[tokio::test]
async fn a_schema_that_cannot_be_compiled_is_refused() {
    let engine = engine(&small());
    let mut structured = job(prompt(9, 0), vector(&catalogue(), &[]));
    structured.grammar = Grammar::JsonSchema(json!({ "type": "no such type" }));
    assert!(matches!(engine.submit(structured), Err(SubmitError::Grammar(_))));
}

//! `GET /v1/models`: the base model, and each adapter and preset as a model of its own.

use schemars::JsonSchema;
use serde::Serialize;

/// A list, as OpenAI wraps it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct List<T> {
    /// `list`
    pub object: &'static str,
    /// The items.
    pub data: Vec<T>,
}

impl<T> List<T> {
    /// A list of `data`.
    #[must_use]
    pub const fn new(data: Vec<T>) -> Self {
        Self { object: "list", data }
    }
}

/// Something that `model` may name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Model {
    /// What `model` says.
    pub id: String,
    /// `model`
    pub object: &'static str,
    /// Seconds since the epoch: when it was loaded.
    pub created: u64,
    /// `lethe`
    pub owned_by: &'static str,
    /// The base model of an adapter or preset; null for a base model.
    pub parent: Option<String>,
    /// Longest prompt plus answer, in tokens.
    pub max_model_len: usize,
}

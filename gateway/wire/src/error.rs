//! The error body of OpenAI's API: all four keys, always.

use schemars::JsonSchema;
use serde::Serialize;

/// What a failed request is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// An error as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorDetail {
    /// For people.
    pub message: String,
    /// The family, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The parameter at fault.
    pub param: Option<String>,
    /// The kind of error, for programs.
    pub code: Option<&'static str>,
}

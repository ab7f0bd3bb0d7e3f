//! Why a request is refused.

/// A fault in a request, and the parameter it is about.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}{fault}", .param.as_ref().map(|p| format!("invalid '{p}': ")).unwrap_or_default())]
pub struct RequestError {
    /// Path of the parameter, such as `messages[0].content`; `None` for the body as a whole.
    pub param: Option<String>,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a parameter or a body.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// Not UTF-8.
    #[error("the body is not valid UTF-8")]
    NotUtf8,
    /// Not JSON.
    #[error("the body is not valid JSON: {0}")]
    NotJson(String),
    /// Nested beyond what the parser follows.
    #[error("the JSON is nested too deeply")]
    TooDeep,
    /// Of another type than the parameter's.
    #[error("expected {expected}, found {found}")]
    Type {
        /// The parameter's type.
        expected: &'static str,
        /// The type that was sent.
        found: &'static str,
    },
    /// Not there.
    #[error("it is required")]
    Missing,
    /// A number outside its range.
    #[error("it must be between {low} and {high}")]
    Range {
        /// Least value.
        low: f64,
        /// Greatest value.
        high: f64,
    },
    /// More items, or a longer text, than is taken.
    #[error("at most {limit} {what} are taken")]
    TooMany {
        /// How many are taken.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// A parameter, or a value of one, that would change the answer and that Lethe cannot honour.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// Anything else.
    #[error("{0}")]
    Invalid(String),
}

impl RequestError {
    /// A fault of the body as a whole.
    #[must_use]
    pub const fn body(fault: Fault) -> Self {
        Self { param: None, fault }
    }

    /// A fault of `param`.
    pub fn at(param: impl Into<String>, fault: Fault) -> Self {
        Self { param: Some(param.into()), fault }
    }

    /// `param` cannot be honoured.
    #[must_use]
    pub fn unsupported(param: &str) -> Self {
        Self::at(param, Fault::Unsupported("it".to_owned()))
    }

    /// `param` has a value with this fault.
    pub fn invalid(param: impl Into<String>, fault: impl Into<String>) -> Self {
        Self::at(param, Fault::Invalid(fault.into()))
    }

    /// The error code in OpenAI's words.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match &self.fault {
            Fault::NotUtf8 | Fault::NotJson(_) | Fault::TooDeep => "invalid_json",
            Fault::Type { .. } => "invalid_type",
            Fault::Missing => "missing_required_parameter",
            Fault::Unsupported(_) => "unsupported_parameter",
            Fault::Range { .. } | Fault::TooMany { .. } | Fault::Invalid(_) => "invalid_value",
        }
    }
}

//! The only HTTP error: what went wrong, and the table that says how it is answered.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use gateway_engine::{EngineError, QueueFull, SubmitError, TextError};
use gateway_wire::{ErrorBody, ErrorDetail, RequestError};

use crate::scoring::ScoringError;

/// A failed request.
#[derive(Debug)]
pub struct ApiError {
    code: Code,
    message: Cow<'static, str>,
    param: Option<String>,
    /// What the log is told and the client is not.
    cause: Option<Box<dyn Error + Send + Sync>>,
    /// After how many seconds it may be tried again, if that is known.
    retry_after: Option<u64>,
    /// The methods that the path takes, if it does not take the request's.
    allow: Option<Box<str>>,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A parameter is at fault, in these words of OpenAI's.
    Invalid(&'static str),
    ContextLengthExceeded,
    InvalidApiKey,
    InsufficientScope,
    AdapterNotAllowed,
    ModelNotFound,
    AdapterNotFound,
    RouteNotFound,
    MethodNotAllowed,
    BodyTimeout,
    GenerationConflict,
    AdapterLimit,
    BodyTooLarge,
    UnsupportedMediaType,
    AdapterRefused,
    GrammarRefused,
    QueueFull,
    /// A key's requests a minute.
    RequestsLimited,
    /// A key's tokens a minute.
    TokensLimited,
    ClientGone,
    Internal,
    NotReady,
    ShuttingDown,
    UpstreamRefused,
    UpstreamFailed,
    UpstreamUnavailable,
    AuditUnavailable,
    DeadlineExceeded,
}

impl Code {
    /// All codes but those of parameters, with what they mean.
    pub const ALL: [(Self, &str); 27] = [
        (Self::ContextLengthExceeded, "Prompt and answer do not fit the model's context."),
        (Self::InvalidApiKey, "There is no API key, or it is not known, or it has expired."),
        (Self::InsufficientScope, "The API key is not good for this path."),
        (Self::AdapterNotAllowed, "The API key may not choose this adapter."),
        (Self::ModelNotFound, "There is no such model, adapter or preset."),
        (Self::AdapterNotFound, "An adapter that the request names is not loaded."),
        (Self::RouteNotFound, "There is nothing at the path."),
        (Self::MethodNotAllowed, "The path does not take the method."),
        (Self::BodyTimeout, "The body did not come in time."),
        (Self::GenerationConflict, "The adapter's name does not stand for what was expected."),
        (Self::AdapterLimit, "No more adapters may be loaded, by number or by bytes."),
        (Self::BodyTooLarge, "The body is longer than it may be."),
        (Self::UnsupportedMediaType, "The body is not JSON, or it is compressed."),
        (Self::AdapterRefused, "The adapter's files are malformed or do not fit the model."),
        (Self::GrammarRefused, "The JSON schema cannot be followed."),
        (Self::QueueFull, "As many requests wait or run as may; try again later."),
        (
            Self::RequestsLimited,
            "The API key has asked too often; `retry-after` says when it may again.",
        ),
        (
            Self::TokensLimited,
            "The API key has no tokens left for the prompt and `max_tokens`; `retry-after` says when it will.",
        ),
        (Self::ClientGone, "The client hung up; only logs and metrics see this."),
        (Self::Internal, "The gateway failed; the log has the cause under the request's id."),
        (Self::NotReady, "The model is still being loaded; try again later."),
        (Self::ShuttingDown, "The gateway is shutting down; try elsewhere."),
        (Self::UpstreamRefused, "The server that generates holds the request for faulty."),
        (Self::UpstreamFailed, "The server that generates failed; the log has the cause."),
        (Self::UpstreamUnavailable, "No server that generates can be reached; try again later."),
        (Self::AuditUnavailable, "Requests cannot be recorded in the audit log, and must be."),
        (Self::DeadlineExceeded, "The request took longer than it may."),
    ];
}

/// The words for parameters at fault, with what they mean.
pub const INVALID_CODES: [(&str, &str); 6] = [
    ("invalid_body", "The body could not be read."),
    ("invalid_json", "The body is not UTF-8 or not JSON, or is nested too deeply."),
    ("invalid_type", "A parameter has another type than it should."),
    ("invalid_value", "A parameter's value is out of range or malformed."),
    ("missing_required_parameter", "A parameter is missing."),
    ("unsupported_parameter", "A parameter would change the answer and is not supported."),
];

/// How a code is answered.
struct Row {
    status: u16,
    kind: &'static str,
    slug: &'static str,
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

/// Seconds after which a client may try again, if nothing better is known.
const RETRY_AFTER: u64 = 1;

impl Code {
    const fn row(self) -> Row {
        let (status, kind, slug) = match self {
            Self::Invalid(slug) => (400, INVALID, slug),
            Self::ContextLengthExceeded => (400, INVALID, "context_length_exceeded"),
            Self::InvalidApiKey => (401, INVALID, "invalid_api_key"),
            Self::InsufficientScope => (403, INVALID, "insufficient_scope"),
            Self::AdapterNotAllowed => (403, INVALID, "adapter_not_allowed"),
            Self::ModelNotFound => (404, INVALID, "model_not_found"),
            Self::AdapterNotFound => (404, INVALID, "adapter_not_found"),
            Self::RouteNotFound => (404, INVALID, "route_not_found"),
            Self::MethodNotAllowed => (405, INVALID, "method_not_allowed"),
            Self::BodyTimeout => (408, INVALID, "body_timeout"),
            Self::GenerationConflict => (409, INVALID, "generation_conflict"),
            Self::AdapterLimit => (409, INVALID, "adapter_limit_reached"),
            Self::BodyTooLarge => (413, INVALID, "body_too_large"),
            Self::UnsupportedMediaType => (415, INVALID, "unsupported_media_type"),
            Self::AdapterRefused => (422, INVALID, "adapter_refused"),
            Self::GrammarRefused => (422, INVALID, "schema_refused"),
            Self::QueueFull => (429, "rate_limit_exceeded", "queue_full"),
            Self::RequestsLimited => (429, "requests", "rate_limit_exceeded"),
            Self::TokensLimited => (429, "tokens", "rate_limit_exceeded"),
            // nginx's number, which no client ever sees.
            Self::ClientGone => (499, INVALID, "client_gone"),
            Self::Internal => (500, SERVER, "internal_error"),
            Self::NotReady => (503, SERVER, "not_ready"),
            Self::ShuttingDown => (503, SERVER, "shutting_down"),
            Self::UpstreamRefused => (400, INVALID, "upstream_refused"),
            Self::UpstreamFailed => (502, SERVER, "upstream_failed"),
            Self::UpstreamUnavailable => (503, SERVER, "upstream_unavailable"),
            Self::AuditUnavailable => (503, SERVER, "audit_unavailable"),
            Self::DeadlineExceeded => (504, SERVER, "deadline_exceeded"),
        };
        Row { status, kind, slug }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether it is about what the caller's key opens.
    pub(crate) const fn is_of_key(self) -> bool {
        matches!(
            self,
            Self::InvalidApiKey
                | Self::InsufficientScope
                | Self::AdapterNotAllowed
                | Self::RequestsLimited
                | Self::TokensLimited
        )
    }

    /// OpenAI's name of the family.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        self.row().kind
    }

    /// The word that programs, metrics and logs use.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        self.row().slug
    }
}

impl ApiError {
    /// An error with a message for the client.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            param: None,
            cause: None,
            retry_after: None,
            allow: None,
        }
    }

    /// The gateway is at fault; only the log is told the cause.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = Self::new(Code::Internal, "the gateway failed");
        Self { cause: Some(cause.into()), ..error }
    }

    /// The same error, about `param`.
    #[must_use]
    pub fn at(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// The same error, which is over after `wait`.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self { retry_after: Some(seconds), ..self }
    }

    /// The same error, at a path that takes these methods, separated by commas.
    #[must_use]
    pub fn allowing(self, methods: &str) -> Self {
        Self { allow: Some(methods.into()), ..self }
    }

    /// What went wrong.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What the log is told and the client is not.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }

    /// The body: the message, and for the server's own failures the id under which to ask.
    #[must_use]
    pub fn body(&self, request_id: Option<&str>) -> ErrorBody {
        let row = self.code.row();
        let own_failure = self.code.status().is_server_error();
        let message = match request_id {
            Some(id) if own_failure => format!("{}; request {id}", self.message),
            Some(_) | None => self.message.clone().into_owned(),
        };
        let param = self.param.clone().filter(|_| !own_failure);
        ErrorBody { error: ErrorDetail { message, kind: row.kind, param, code: Some(row.slug) } }
    }

    /// The whole answer.
    #[must_use]
    pub fn response(&self, request_id: Option<&str>) -> HttpResponse {
        let mut response = HttpResponse::build(self.code.status());
        if let Some(methods) = &self.allow {
            response.insert_header((header::ALLOW, &**methods));
        }
        match self.code.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                response
                    .insert_header((header::RETRY_AFTER, self.retry_after.unwrap_or(RETRY_AFTER)));
            }
            StatusCode::UNAUTHORIZED => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            // Clients retry 409 unless they are told that it will not help.
            StatusCode::CONFLICT => {
                response.insert_header(("x-should-retry", "false"));
            }
            _ => {}
        }
        response.json(self.body(request_id))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.slug())
    }
}

impl Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.response(None)
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let message = error.to_string();
        Self { param: error.param.clone(), ..Self::new(Code::Invalid(error.code()), message) }
    }
}

impl From<QueueFull> for ApiError {
    fn from(_: QueueFull) -> Self {
        Self::new(Code::QueueFull, "the queue is full; try again later")
    }
}

impl From<ScoringError> for ApiError {
    fn from(error: ScoringError) -> Self {
        match error {
            ScoringError::Overloaded => {
                Self::new(Code::QueueFull, "too much text waits to be scored; try again later")
            }
            ScoringError::Failed => Self::internal(error),
        }
    }
}

impl From<TextError> for ApiError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Template(_) | TextError::UnknownToken(_) => {
                Self::new(Code::Invalid("invalid_value"), error.to_string())
            }
            TextError::Tokenizer(_) => Self::internal(error),
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let code = match error {
            SubmitError::EmptyPrompt | SubmitError::UnknownToken(_) => {
                Code::Invalid("invalid_value")
            }
            SubmitError::TooLong { .. } => Code::ContextLengthExceeded,
            SubmitError::Grammar(_) => Code::GrammarRefused,
            SubmitError::Adapter { .. } => Code::AdapterRefused,
            SubmitError::Rank { .. } => Code::Invalid("invalid_value"),
            SubmitError::Unsupported(_) => Code::Invalid("unsupported_parameter"),
            SubmitError::NotRunning => return EngineError::ShuttingDown.into(),
        };
        let param = match error {
            SubmitError::Grammar(_) => Some("response_format".to_owned()),
            SubmitError::Adapter { .. } | SubmitError::Rank { .. } => Some("adapters".to_owned()),
            SubmitError::EmptyPrompt
            | SubmitError::UnknownToken(_)
            | SubmitError::TooLong { .. }
            | SubmitError::Unsupported(_)
            | SubmitError::NotRunning => None,
        };
        Self { param, ..Self::new(code, error.to_string()) }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Deadline => {
                Self::new(Code::DeadlineExceeded, "the request took longer than it may")
            }
            EngineError::ShuttingDown => {
                Self::new(Code::ShuttingDown, "the gateway is shutting down")
            }
            EngineError::Refused(_) => Self::new(Code::UpstreamRefused, error.to_string()),
            EngineError::Unavailable(_) => Self {
                cause: Some(error.into()),
                ..Self::new(Code::UpstreamUnavailable, "no server can take the request now")
            },
            EngineError::Upstream(_) => Self {
                cause: Some(error.into()),
                ..Self::new(Code::UpstreamFailed, "the server that generates failed")
            },
            EngineError::Grammar(_) | EngineError::Internal(_) => Self::internal(error),
        }
    }
}

//! What all request bodies have in common: they are read, and they say what they take.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{
    ChatRequest, CompletionRequest, DetokenizeRequest, LoadRequest, ModerationRequest,
    RequestError, TokenizeRequest, VllmLoadRequest, VllmUnloadRequest, schema,
};

/// The body of a request.
pub trait Body: JsonSchema + Sized {
    /// Reads it.
    ///
    /// # Errors
    /// [`RequestError`] names the first parameter at fault.
    fn parse(body: &[u8]) -> Result<Self, RequestError>;
}

macro_rules! bodies {
    ($($Request:ident),* $(,)?) => {$(
        impl Body for $Request {
            fn parse(body: &[u8]) -> Result<Self, RequestError> {
                Self::parse(body)
            }
        }

        impl JsonSchema for $Request {
            fn schema_name() -> Cow<'static, str> {
                stringify!($Request).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schema::body(Self::schema())
            }
        }
    )*};
}

bodies! {
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    LoadRequest,
    ModerationRequest,
    TokenizeRequest,
    VllmLoadRequest,
    VllmUnloadRequest,
}

//! Request bodies: JSON, not too long, and not too slow.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpRequest};
use gateway_wire::Body;

use crate::error::{ApiError, Code};
use crate::gateway::Gateway;

/// A body that says it is JSON, and could be read. The limit of its length is the app's
/// `PayloadConfig`.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: Body> FromRequest for JsonBody<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media = check_media_type(request);
        let bytes = Bytes::from_request(request, payload);
        let patience = request.app_data::<Data<Gateway>>().map(|gateway| gateway.limits.body);
        Box::pin(async move {
            media?;
            let bytes = tokio::time::timeout(patience.unwrap_or_default(), bytes).await;
            let bytes = bytes
                .map_err(|_| ApiError::new(Code::BodyTimeout, "the body did not come in time"))?;
            let bytes = bytes.map_err(|error| body_error(&error))?;
            Ok(Self(T::parse(&bytes)?))
        })
    }
}

/// A body without a media type is taken for JSON; nothing is unpacked.
fn check_media_type(request: &HttpRequest) -> Result<(), ApiError> {
    let headers = request.headers();
    let media = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let media = media.map(|value| value.split(';').next().unwrap_or_default().trim());
    let json = media.is_none_or(|media| media.eq_ignore_ascii_case("application/json"));
    let plain = headers.get(header::CONTENT_ENCODING).is_none_or(|value| value == "identity");
    if json && plain {
        return Ok(());
    }
    Err(ApiError::new(
        Code::UnsupportedMediaType,
        "the body must be application/json, without a content encoding",
    ))
}

fn body_error(error: &actix_web::Error) -> ApiError {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => {
            ApiError::new(Code::BodyTooLarge, "the body is longer than it may be")
        }
        _ => ApiError::new(Code::Invalid("invalid_body"), "the body could not be read"),
    }
}

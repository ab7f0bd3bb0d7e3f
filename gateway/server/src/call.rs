//! What a handler knows of a request beside its body.

use std::future::{Ready, ready};
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use gateway_engine::EngineError;
use gateway_wire::selection::{self, Selection};

use crate::clock;
use crate::disconnect::Disconnect;
use crate::error::{ApiError, Code};
use crate::keys::{Caller, Infer, Reservation};
use crate::note::Note;
use crate::request_id::RequestId;

/// A request beside its body, of somebody who may ask for answers.
pub(crate) struct Call {
    pub(crate) caller: Caller<Infer>,
    pub(crate) id: RequestId,
    pub(crate) client: Disconnect,
    /// The adapters that the header names, if it is there.
    pub(crate) header: Option<Selection>,
    pub(crate) route: String,
    pub(crate) started: Instant,
    note: Note,
}

impl Call {
    /// Waits for `work`, unless the client goes away before or the request has taken `limit`.
    ///
    /// # Errors
    /// [`Code::ClientGone`] or [`Code::DeadlineExceeded`].
    pub(crate) async fn wait<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, ApiError> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.client.gone() => Err(ApiError::new(Code::ClientGone, "the client has hung up")),
            () = tokio::time::sleep_until((self.started + limit).into()) => {
                Err(EngineError::Deadline.into())
            }
        }
    }

    /// Charges the caller's key so many tokens.
    ///
    /// # Errors
    /// [`Code::TokensLimited`] if it has not as many.
    pub(crate) fn reserve(&self, tokens: usize) -> Result<Option<Reservation>, ApiError> {
        self.caller.reserve(tokens, &self.note)
    }

    /// What is told of the request at its end.
    pub(crate) const fn note(&self) -> &Note {
        &self.note
    }
}

impl FromRequest for Call {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

impl Call {
    fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let caller = Caller::of(request)?;
        let header = header_selection(request.headers())?;
        Ok(Self {
            caller,
            id: request
                .extensions()
                .get::<RequestId>()
                .cloned()
                .unwrap_or_else(|| RequestId::of(request.headers())),
            client: Disconnect::of(request),
            header,
            route: request.match_pattern().unwrap_or_default(),
            started: clock::now(),
            note: request.extensions().get::<Note>().cloned().unwrap_or_default(),
        })
    }
}

fn header_selection(headers: &HeaderMap) -> Result<Option<Selection>, ApiError> {
    let fault = |what: String| {
        ApiError::new(Code::Invalid("invalid_value"), format!("{}: {what}", selection::HEADER))
            .at(selection::HEADER)
    };
    let mut values = headers.get_all(selection::HEADER);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(fault("it stands twice".to_owned()));
    }
    let text = value.to_str().map_err(|_| fault("it is not plain text".to_owned()))?;
    Selection::parse_header(text).map(Some).map_err(|error| fault(error.to_string()))
}

//! The id by which a request is told apart in logs, replies and the audit log.

use std::fmt;
use std::rc::Rc;

use actix_web::http::header::HeaderMap;

use crate::chance;

/// The header with a request's id.
pub(crate) const ID_HEADER: &str = "x-request-id";

/// The longest id that is taken from a client.
const MAX_ID_BYTES: usize = 128;

/// A request's id: the client's, if it is a sane one.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(Rc<str>);

impl RequestId {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let sane = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let given = headers.get(ID_HEADER).and_then(|value| value.to_str().ok());
        let given = given.filter(|id| (1..=MAX_ID_BYTES).contains(&id.len()));
        match given.filter(|id| id.bytes().all(sane)) {
            Some(id) => Self(id.into()),
            None => Self(chance::id().into()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

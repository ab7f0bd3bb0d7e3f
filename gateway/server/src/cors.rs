//! Which pages of other origins a browser lets use the API; none unless settings name them.
//!
//! Keys go in the `Authorization` header, which a page sets itself, so credentials of the browser
//! are never allowed, and any origin (`*`) gives away nothing that a page without a key could use.

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::middleware::Condition;
use gateway_wire::selection;

use crate::request_id::ID_HEADER;
use crate::settings::Origins;

/// Reply headers that pages may read.
const EXPOSED: [&str; 10] = [
    ID_HEADER,
    selection::HEADER,
    "retry-after",
    "x-should-retry",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];

/// How long a browser may remember an answer about it.
const MAX_AGE_SECONDS: usize = 600;

/// The middleware; outermost, so that errors can be read by pages too.
pub(crate) fn layer(origins: &Origins) -> Condition<Cors> {
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_any_header()
        .expose_headers(EXPOSED)
        .max_age(MAX_AGE_SECONDS);
    match origins {
        Origins::None => Condition::new(false, cors),
        Origins::Any => Condition::new(true, cors.allow_any_origin().send_wildcard()),
        Origins::Listed(list) => {
            let listed = list.iter().fold(cors, |cors, origin| cors.allowed_origin(origin));
            Condition::new(true, listed)
        }
    }
}

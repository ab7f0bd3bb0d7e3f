//! The proof that a request may do what it asks for.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};

use super::rates::{Exceeded, Reservation};
use super::ring::{Key, Keyring, Stranger};
use super::rules::Rules;
use super::scope::Scope;
use crate::call::Call;
use crate::clock;
use crate::error::{ApiError, Code};
use crate::gateway::Gateway;
use crate::note::{ChangeRecord, Note};

/// Who calls, and that they may do what `D` demands. There is no other way to have one than to be
/// checked.
#[derive(Debug)]
pub(crate) struct Caller<D> {
    /// `None` if no keys are asked for.
    key: Option<Arc<Key>>,
    note: Note,
    demand: PhantomData<D>,
}

/// What a route demands: one of some scopes.
pub(crate) trait Demand: 'static {
    const ANY_OF: &'static [Scope];

    /// Whether it is to change adapters.
    fn changes() -> bool {
        Self::ANY_OF == [Scope::AdaptersWrite]
    }
}

macro_rules! demands {
    ($($(#[doc = $doc:literal])* $name:ident: $scopes:expr;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub(crate) enum $name {}

        impl Demand for $name {
            const ANY_OF: &'static [Scope] = &$scopes;
        }
    )*};
}

demands! {
    /// Generating, scoring and reading.
    Infer: [Scope::Infer];
    /// Seeing which adapters there are.
    AdaptersRead: [Scope::Infer, Scope::AdaptersWrite];
    /// Changing which adapters there are.
    AdaptersWrite: [Scope::AdaptersWrite];
    /// Reading metrics.
    Metrics: [Scope::Metrics];
    /// Having a key.
    Any: Scope::ALL;
}

/// A handler's arguments that begin with a proof. Only such handlers can be entered as routes.
pub(crate) trait Guarded {
    /// A key needs one of these.
    const SCOPES: &'static [Scope];
}

/// An argument that cannot be had without a check.
pub(crate) trait Proof {
    type Demand: Demand;
}

impl<D: Demand> Proof for Caller<D> {
    type Demand = D;
}

impl Proof for Call {
    type Demand = Infer;
}

macro_rules! guarded {
    ($($Argument:ident),*) => {
        impl<P: Proof, $($Argument),*> Guarded for (P, $($Argument),*) {
            const SCOPES: &'static [Scope] = P::Demand::ANY_OF;
        }
    };
}

guarded!();
guarded!(A);
guarded!(A, B);
guarded!(A, B, C);

/// How a check ended, as the metrics call it.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Accepted,
    Missing,
    Unknown,
    Expired,
    InsufficientScope,
    RateLimited,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::InsufficientScope => "insufficient_scope",
            Self::RateLimited => "rate_limited",
        }
    }
}

impl<D: Demand> Caller<D> {
    /// Checks a request. Every check of a request with a key counts as a request of that key.
    ///
    /// # Errors
    /// [`Code::InvalidApiKey`] if there is no key that counts, [`Code::InsufficientScope`] if it is
    /// not good for this, [`Code::RequestsLimited`] if it has asked too often.
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let gateway = request.app_data::<Data<Gateway>>();
        let gateway = gateway.ok_or_else(|| ApiError::internal("a route has no gateway"))?;
        let note = request.extensions().get::<Note>().cloned().unwrap_or_default();
        let key = match gateway.guard.ring() {
            None => None,
            Some(ring) => Some(Self::admit(&ring, request.headers(), &gateway.metrics, &note)?),
        };
        if D::changes() {
            note.may_change(request.match_pattern().unwrap_or_default());
        }
        Ok(Self { key, note, demand: PhantomData })
    }

    /// The key that comes with a request, if it is good for this and has not asked too often.
    fn admit(
        ring: &Keyring,
        headers: &HeaderMap,
        metrics: &crate::Metrics,
        note: &Note,
    ) -> Result<Arc<Key>, ApiError> {
        let count = |id: &str, outcome: Outcome| {
            metrics.key_requests.with_label_values(&[id, outcome.as_str()]).inc();
        };
        let Some(secret) = bearer(headers) else {
            count("", Outcome::Missing);
            return Err(refusal("there is no API key; send it as 'Authorization: Bearer KEY'"));
        };
        let key = ring.find(secret, clock::since_epoch()).map_err(|stranger| match stranger {
            Stranger::Unknown => {
                count("", Outcome::Unknown);
                refusal("this API key is not known")
            }
            Stranger::Expired(id) => {
                note.come_with(&id);
                count(&id, Outcome::Expired);
                refusal("this API key has expired")
            }
        })?;
        note.come_with(&key.id);
        if !key.has_any(D::ANY_OF) {
            count(&key.id, Outcome::InsufficientScope);
            return Err(insufficient(D::ANY_OF));
        }
        let (standing, taken) = key.rates.request();
        note.stand(standing);
        if let Err(exceeded) = taken {
            count(&key.id, Outcome::RateLimited);
            return Err(limited(Code::RequestsLimited, exceeded));
        }
        count(&key.id, Outcome::Accepted);
        Ok(key)
    }
}

impl<D> Caller<D> {
    /// What the key holds its requests to; `None` if no keys are asked for.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.key.as_ref().map(|key| &key.rules)
    }

    /// Whether the caller is shown what is made of the adapters `names`: it may choose all of them,
    /// or change which there are.
    pub(crate) fn sees<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        self.key.as_ref().is_none_or(|key| {
            key.has_any(AdaptersWrite::ANY_OF)
                || names.into_iter().all(|name| key.rules.may_choose(name))
        })
    }

    /// The record of a change that the caller makes.
    pub(crate) fn change(&self) -> ChangeRecord {
        self.note.change()
    }

    /// Charges so many tokens, and notes how the key stands then.
    ///
    /// # Errors
    /// [`Code::TokensLimited`] if there are not as many.
    pub(crate) fn reserve(
        &self,
        tokens: usize,
        note: &Note,
    ) -> Result<Option<Reservation>, ApiError> {
        let Some(key) = &self.key else { return Ok(None) };
        let (standing, reservation) = key.rates.reserve(tokens);
        note.stand(standing);
        reservation.map(Some).map_err(|exceeded| limited(Code::TokensLimited, exceeded))
    }
}

impl<D: Demand> FromRequest for Caller<D> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

/// The secret of `Authorization: Bearer` ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)), if
/// there is exactly one such header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let value = values.next().filter(|_| values.next().is_none())?.as_bytes();
    let (scheme, secret) = value.split_at_checked("Bearer ".len())?;
    let secret = secret.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !secret.is_empty()).then_some(secret)
}

fn refusal(message: &'static str) -> ApiError {
    ApiError::new(Code::InvalidApiKey, message)
}

fn limited(code: Code, exceeded: Exceeded) -> ApiError {
    let what = code.kind();
    match exceeded {
        Exceeded::For(wait) => {
            let message = format!("this API key has no {what} left for this; try again later");
            ApiError::new(code, message).after(wait)
        }
        Exceeded::Always(limit) => {
            let message = format!(
                "the request may take more than the {limit} {what} that this API key has a minute; \
                 shorten it or ask for fewer max_tokens"
            );
            ApiError::new(code, message)
        }
    }
}

fn insufficient(scopes: &[Scope]) -> ApiError {
    let names: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
    let message = format!("this API key lacks the scope {}", names.join(" or "));
    ApiError::new(Code::InsufficientScope, message)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn of(values: &[&str]) -> Option<Vec<u8>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers.append(HeaderName::from_static("api-key"), HeaderValue::from_static("other"));
        bearer(&headers).map(<[u8]>::to_vec)
    }

    #[test]
    fn a_secret_is_what_one_bearer_header_says() {
        assert_eq!(of(&["Bearer abc"]).as_deref(), Some(&b"abc"[..]));
        assert_eq!(of(&["bearer  abc "]).as_deref(), Some(&b"abc"[..]));
        for none in [
            &[][..],
            &["abc"],
            &["Bearer"],
            &["Bearer "],
            &["Basic abc"],
            &["Bearer a", "Bearer b"],
        ] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}

//! How a key stands, in OpenAI's headers.

use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    Requests,
    Tokens,
}

/// How a key stands with one of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) resource: Resource,
    /// A minute's worth.
    pub(crate) limit: u32,
    /// What is left now, where that is known.
    pub(crate) remaining: Option<u32>,
    /// Until the whole limit is there again if nothing is asked for, where that is known.
    pub(crate) reset: Option<Duration>,
}

impl Standing {
    /// `x-ratelimit-limit-requests` and its like.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let names = match self.resource {
            Resource::Requests => ["limit-requests", "remaining-requests", "reset-requests"],
            Resource::Tokens => ["limit-tokens", "remaining-tokens", "reset-tokens"],
        };
        let remaining = self.remaining.map(|remaining| remaining.to_string());
        let values = [Some(self.limit.to_string()), remaining, self.reset.map(duration)];
        names.into_iter().zip(values).filter_map(|(name, value)| {
            let name = HeaderName::try_from(format!("x-ratelimit-{name}")).ok()?;
            Some((name, HeaderValue::try_from(value?).ok()?))
        })
    }
}

/// As OpenAI writes it: `120ms`, `7s`; rounded up.
fn duration(time: Duration) -> String {
    match time.as_millis() {
        millis @ 0..1_000 => format!("{millis}ms"),
        millis => format!("{}s", millis.div_ceil(1_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_is_known() {
        let told = |remaining, millis| {
            let reset = Some(Duration::from_millis(millis));
            let standing = Standing { resource: Resource::Tokens, limit: 60, remaining, reset };
            let told = standing.headers();
            told.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect::<Vec<_>>()
                .join(", ")
        };
        assert_eq!(
            told(Some(7), 250),
            "x-ratelimit-limit-tokens: 60, x-ratelimit-remaining-tokens: 7, \
             x-ratelimit-reset-tokens: 250ms"
        );
        assert_eq!(told(None, 1_001), "x-ratelimit-limit-tokens: 60, x-ratelimit-reset-tokens: 2s");
    }
}

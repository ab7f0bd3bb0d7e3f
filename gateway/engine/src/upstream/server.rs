//! Where a server is, and how much of the load it takes.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// One server of a fleet, written `http://HOST:PORT` or `http://HOST:PORT=WEIGHT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    url: Url,
    weight: f64,
}

/// Why a server cannot be used as it is written. No message quotes it: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Not `http://HOST...` or `https://HOST...`.
    #[error("a server must be written http://HOST:PORT or https://HOST:PORT")]
    Address,
    /// User, password, query or fragment.
    #[error("a server's address must have no user, password, query or fragment")]
    Extra,
    /// Not a positive number.
    #[error("a server's weight must be a number above 0")]
    Weight,
}

impl Server {
    /// The address of `path`, which begins with `/`, at this server.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// Its share of the load, relative to the others'.
    pub(super) const fn weight(&self) -> f64 {
        self.weight
    }
}

/// What logs and metrics call it: host and port.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.host_str().unwrap_or_default())?;
        self.url.port_or_known_default().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        let (address, weight) = text.rsplit_once('=').unwrap_or((text, "1"));
        let url = Url::parse(address.trim()).map_err(|_| ServerError::Address)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(ServerError::Address);
        }
        let plain = url.username().is_empty() && url.password().is_none();
        if !plain || url.query().is_some() || url.fragment().is_some() {
            return Err(ServerError::Extra);
        }
        let weight = weight.trim().parse().ok().filter(|w: &f64| w.is_finite() && *w > 0.0);
        Ok(Self { url, weight: weight.ok_or(ServerError::Weight)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_weight_and_a_path() {
        let server: Server = "http://a:8000/engine/=2.5".parse().expect("a server");
        assert_eq!((server.to_string().as_str(), server.weight()), ("a:8000", 2.5));
        assert_eq!(server.at("/v1/models").as_str(), "http://a:8000/engine/v1/models");
        let server: Server = "https://b".parse().expect("a server");
        assert_eq!((server.to_string().as_str(), server.weight()), ("b:443", 1.0));
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for (text, error) in [
            ("", ServerError::Address),
            ("a:8000", ServerError::Address),
            ("file:///etc", ServerError::Address),
            ("http://user:word@a", ServerError::Extra),
            ("http://a=0", ServerError::Weight),
            ("http://a=-1", ServerError::Weight),
            ("http://a=nan", ServerError::Weight),
        ] {
            assert_eq!(text.parse::<Server>(), Err(error), "{text}");
        }
        assert_eq!("http://a?x=1".parse::<Server>(), Err(ServerError::Extra));
    }
}

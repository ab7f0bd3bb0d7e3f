//! Web origins, as browsers write them.

/// Whose pages may use the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Nobody else's.
    None,
    /// Everybody's.
    Any,
    /// Those of these origins.
    Listed(Vec<String>),
}

impl Origins {
    /// Reads `*`, or scheme, host and perhaps port of each between commas
    /// ([RFC 6454](https://www.rfc-editor.org/rfc/rfc6454#section-6.2)).
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "" => return Some(Self::None),
            "*" => return Some(Self::Any),
            _ => {}
        }
        let origins = text.split(',').map(str::trim);
        let origins = origins.map(|text| is_origin(text).then(|| text.to_owned()));
        origins.collect::<Option<_>>().map(Self::Listed)
    }
}

/// Browsers write hosts in lower case, and nothing behind them.
fn is_origin(text: &str) -> bool {
    let host = ["https://", "http://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    let Some(authority) = host else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    };
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._[]:".contains(&byte);
    let port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    port && !host.is_empty() && host.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        assert_eq!(Origins::parse(" "), Some(Origins::None));
        assert_eq!(Origins::parse("*"), Some(Origins::Any));
        let listed = "https://a.example, http://localhost:3000,http://[::1]:80,http://[::1]";
        let Some(Origins::Listed(list)) = Origins::parse(listed) else { panic!("a list") };
        assert_eq!(list[1..3], ["http://localhost:3000", "http://[::1]:80"]);
        for bad in [
            "a.example",
            "https://",
            "https://a.example/",
            "https://A.example",
            "ftp://a.example",
            "https://a.example:x",
            "https://a.example,",
            "https://a.example,*",
            "null",
            "https://a.example:443/x",
            "https://u@a.example",
        ] {
            assert_eq!(Origins::parse(bad), None, "{bad}");
        }
    }
}

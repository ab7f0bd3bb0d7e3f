//! Where spans go, and which.

use super::Reader;

/// What is told to a collector of OpenTelemetry.
#[derive(Debug, Clone)]
pub struct OtelSettings {
    /// `None` exports nothing.
    pub endpoint: Option<String>,
    pub service_name: String,
    /// The share of the traces begun here, in [0, 1].
    pub sample: f64,
}

pub(super) fn read_otel(reader: &mut Reader) -> OtelSettings {
    let endpoint = Some(reader.text("otel.endpoint")).filter(|endpoint| !endpoint.is_empty());
    if let Some(endpoint) = &endpoint {
        check_endpoint(reader, endpoint);
    }
    let service_name = reader.text("otel.service_name");
    if service_name.trim().is_empty() {
        reader.fault("otel.service_name", "it must not be empty");
    }
    OtelSettings { endpoint, service_name, sample: reader.share("otel.sample") }
}

/// No fault quotes the endpoint: it may hold a password.
#[cfg(feature = "otel")]
fn check_endpoint(reader: &mut Reader, endpoint: &str) {
    let url = reqwest::Url::parse(endpoint).ok();
    let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) else {
        let what = "it must be the URL of a collector, such as http://localhost:4318";
        return reader.fault("otel.endpoint", what);
    };
    let plain = url.username().is_empty() && url.password().is_none();
    if !plain || url.query().is_some() || url.fragment().is_some() {
        reader.fault("otel.endpoint", "it must have no user, password, query or fragment");
    }
}

#[cfg(not(feature = "otel"))]
fn check_endpoint(reader: &mut Reader, _: &str) {
    let what = "this program was built without the feature otel, so it must not be set";
    reader.fault("otel.endpoint", what);
}

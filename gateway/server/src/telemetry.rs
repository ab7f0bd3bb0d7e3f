//! The log. Lines carry ids, names, numbers and codes; never prompts, answers, keys or paths.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::settings::{LogFormat, LogSettings, Settings};

/// Starts logging to standard error.
///
/// # Errors
/// If a logger was installed before, or the level is none.
pub fn start(settings: &LogSettings) -> anyhow::Result<()> {
    // actix's own lines about workers and signals are ours to write, those about connections are
    // errors of clients; mistral.rs writes paths.
    let others = "actix_server=warn,actix_http=warn,actix_http::h1::dispatcher=off,mistralrs_core=warn,mistralrs_quant=warn";
    let directives = format!("{},{others}", settings.level);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(directives)?)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    let started = match settings.format {
        LogFormat::Plain => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}

/// Logs every setting and where it came from.
pub fn log_settings(settings: &Settings) {
    for setting in &settings.effective {
        let value = match setting.name {
            // Paths of this machine are nobody's business who reads the log elsewhere.
            "audit.file"
            | "keys.file"
            | "ops_tls.certificate"
            | "ops_tls.key"
            | "tls.certificate"
            | "tls.key"
            | "upstream.ca_file"
            | "upstream.key_file"
            | "upstream.adapters"
            | "upstream.adapters_there"
                if !setting.value.is_empty() =>
            {
                "(a path)"
            }
            "home" | "adapters" | "model" if setting.value.starts_with('/') => "(a path)",
            _ => setting.value.as_str(),
        };
        tracing::info!(key = setting.name, value, source = %setting.source, "setting");
    }
}

//! Which other servers generate, and how they are used.

use std::path::PathBuf;
use std::time::Duration;

use gateway_engine::upstream::{Dialect, Patience, Server};

use super::Reader;

/// The servers, as they are set.
#[derive(Debug, Clone)]
pub struct Upstream {
    pub servers: Vec<Server>,
    pub dialect: Dialect,
    /// Empty is the name that requests use.
    pub model: String,
    pub key_file: Option<PathBuf>,
    /// `None` trusts the system's certificates alone.
    pub ca_file: Option<PathBuf>,
    /// `None` is a folder in `home`.
    pub adapters: Option<PathBuf>,
    /// Empty is the same path.
    pub adapters_there: String,
    pub max_adapters: usize,
    pub max_rank: usize,
    pub attempts: usize,
    pub patience: Patience,
}

const DIALECTS: [(&str, Dialect); 3] =
    [("vllm", Dialect::Vllm), ("llama", Dialect::Llama), ("openai", Dialect::OpenAi)];

pub(super) fn read_upstream(reader: &mut Reader) -> Upstream {
    Upstream {
        servers: reader.servers("upstream.servers"),
        dialect: reader.one_of("upstream.dialect", &DIALECTS),
        model: reader.text("upstream.model"),
        key_file: reader.path("upstream.key_file"),
        ca_file: reader.path("upstream.ca_file"),
        adapters: reader.path("upstream.adapters"),
        adapters_there: reader.text("upstream.adapters_there"),
        max_adapters: reader.count("upstream.max_adapters", 1..=1 << 12),
        max_rank: reader.count("upstream.max_rank", 1..=1 << 12),
        attempts: reader.count("upstream.attempts", 1..=100),
        patience: Patience {
            connect: positive(reader, "upstream.connect_seconds"),
            first_token: positive(reader, "upstream.first_token_seconds"),
            idle: positive(reader, "upstream.idle_seconds"),
            placement: positive(reader, "upstream.placement_seconds"),
            probe: positive(reader, "upstream.probe_seconds"),
        },
    }
}

/// A time in which something can happen.
fn positive(reader: &mut Reader, name: &'static str) -> Duration {
    let seconds = reader.seconds(name);
    if seconds.is_zero() {
        reader.fault(name, "it must be above 0");
    }
    seconds
}

//! What the gateway is told: defaults, then the file, then the environment, then flags.
//!
//! This is the only place that reads the environment. All faults are reported together, and an
//! unknown key of the file is a fault.

mod flags;
mod keys;
mod moderation;
mod origins;
mod otel;
mod presets;
mod reader;
mod subcommands;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gateway_wire::Selection;
use gateway_wire::selection::ScaleBounds;

pub use flags::{Action, parse_flags};
pub use keys::{KEYS, Key};
pub use moderation::{Mode, ModerationPolicy, ModerationSettings, OnFailure};
pub use origins::Origins;
pub use otel::OtelSettings;
pub use presets::Presets;
pub(crate) use presets::read_presets;
pub use reader::{Effective, Source};
pub use upstream::Upstream;

use otel::read_otel;
use reader::Reader;
use upstream::read_upstream;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    pub ops_listen: SocketAddr,
    pub model: String,
    /// `None` looks for shipped ones, and else in `home`.
    pub adapters: Option<PathBuf>,
    pub home: PathBuf,
    pub keys: KeySettings,
    pub audit: AuditSettings,
    pub tls: TlsSettings,
    /// Of the operations listener.
    pub ops_tls: TlsSettings,
    /// Whose pages may use the API.
    pub origins: Origins,
    pub engine: EngineSettings,
    pub upstream: Upstream,
    pub limits: Limits,
    pub stream: StreamSettings,
    pub shutdown: ShutdownSettings,
    pub policy: Policy,
    pub moderation: ModerationSettings,
    pub shadow: ShadowSettings,
    pub log: LogSettings,
    pub otel: OtelSettings,
    pub adapter_sets: usize,
    /// Each key, its value and where that came from, for the log.
    pub effective: Vec<Effective>,
}

/// Who is asked for a key.
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// `None` asks nobody.
    pub file: Option<PathBuf>,
    /// From one look at the file to the next.
    pub reload: Duration,
}

/// What is written down of requests.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// `None` writes nothing.
    pub file: Option<PathBuf>,
    /// What becomes of requests that cannot be recorded.
    pub on_failure: OnFailure,
    pub queue_records: usize,
    /// The longest time that a record may wait for the disk.
    pub sync: Duration,
    /// 0 keeps one file for ever.
    pub rotate_bytes: u64,
}

/// What a listener proves its name with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsSettings {
    /// Nothing: it is served in the clear.
    Off,
    /// PEM files, of the chain and of its key, and the table of the settings that names them.
    On { table: &'static str, certificate: PathBuf, key: PathBuf },
}

/// Which engine computes, and how it uses the machine.
#[derive(Debug, Clone, Copy)]
pub struct EngineSettings {
    pub kind: EngineKind,
    /// `None` uses all cores.
    pub threads: Option<usize>,
    pub sequences: usize,
    pub kv_bytes: usize,
    /// `None` is what the model was trained for.
    pub context_tokens: Option<usize>,
    pub precision: Precision,
    /// Memory for merged models, of an engine that has them.
    pub variants_bytes: u64,
}

/// What computes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Our own decoder.
    Local,
    /// Other servers.
    Upstream,
    /// mistral.rs, if the program was built with it.
    Mistralrs,
}

/// How an engine holds weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    Auto,
    F32,
}

/// How much is taken in.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub body_bytes: usize,
    /// How long a body may take to come.
    pub body: Duration,
    pub requests: usize,
    pub adapters: usize,
    pub deadline: Duration,
}

/// How streams behave.
#[derive(Debug, Clone, Copy)]
pub struct StreamSettings {
    /// How long a stream waits for its first word before it begins without.
    pub head: Duration,
    pub heartbeat: Duration,
}

/// How the gateway goes down.
#[derive(Debug, Clone, Copy)]
pub struct ShutdownSettings {
    /// From "not ready" to "no new requests".
    pub grace: Duration,
    /// From there to the end of what still runs.
    pub drain: Duration,
}

/// What requests may choose, and what they get that choose nothing.
#[derive(Debug, Clone)]
pub struct Policy {
    pub bounds: ScaleBounds,
    pub default: Selection,
    pub presets: Presets,
}

/// Which answers are compared with the base model's.
#[derive(Debug, Clone, Copy)]
pub struct ShadowSettings {
    /// The share of the requests with adapters, in [0, 1].
    pub rate: f64,
    /// How many runs may wait for their turn.
    pub queue_runs: usize,
    /// From an answer's end to the end of its run.
    pub deadline: Duration,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogSettings {
    pub format: LogFormat,
    pub level: String,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Plain,
    Json,
}

/// All that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("the settings have {} fault(s):\n  {}", .faults.len(), .faults.join("\n  "))]
pub struct SettingsError {
    /// Each names its key and where the value came from.
    pub faults: Vec<String>,
}

/// Settings as text, before they are understood. `flags` and `environment` are pairs of a key's
/// name and a value.
#[derive(Debug, Default)]
pub struct Layers {
    /// The settings file's text.
    pub file: Option<String>,
    pub environment: Vec<(&'static str, String)>,
    pub flags: Vec<(&'static str, String)>,
    /// What `home` is if nothing says.
    pub home: PathBuf,
}

impl Settings {
    /// Understands the layers.
    ///
    /// # Errors
    /// [`SettingsError`] with every fault of every layer.
    pub fn build(layers: Layers) -> Result<Self, SettingsError> {
        let default_home = layers.home.clone();
        let mut reader = Reader::new(layers);
        let home = reader.path("home").unwrap_or(default_home);
        let settings = Self {
            listen: reader.address("listen"),
            ops_listen: reader.address("ops_listen"),
            model: reader.text("model"),
            adapters: reader.path("adapters"),
            home,
            keys: KeySettings {
                file: reader.path("keys.file"),
                reload: reader.seconds("keys.reload_seconds"),
            },
            audit: read_audit(&mut reader),
            tls: read_tls(&mut reader, "tls", ["tls.certificate", "tls.key"]),
            ops_tls: read_tls(&mut reader, "ops_tls", ["ops_tls.certificate", "ops_tls.key"]),
            origins: reader.origins("cors.origins"),
            engine: read_engine(&mut reader),
            upstream: read_upstream(&mut reader),
            limits: Limits {
                body_bytes: reader.count("limits.body_bytes", 1..=1 << 30),
                body: reader.seconds("limits.body_seconds"),
                requests: reader.count("limits.requests", 1..=1 << 20),
                adapters: reader.count("limits.adapters", 0..=1 << 16),
                deadline: reader.seconds("limits.deadline_seconds"),
            },
            stream: StreamSettings {
                head: reader.seconds("stream.head_seconds"),
                heartbeat: reader.seconds("stream.heartbeat_seconds"),
            },
            shutdown: ShutdownSettings {
                grace: reader.seconds("shutdown.grace_seconds"),
                drain: reader.seconds("shutdown.drain_seconds"),
            },
            policy: read_policy(&mut reader),
            moderation: read_moderation(&mut reader),
            shadow: ShadowSettings {
                rate: reader.share("shadow.rate"),
                queue_runs: reader.count("shadow.queue_runs", 1..=1 << 16),
                deadline: reader.seconds("shadow.deadline_seconds"),
            },
            log: LogSettings {
                format: reader.one_of(
                    "log.format",
                    &[("plain", LogFormat::Plain), ("json", LogFormat::Json)],
                ),
                level: reader.one_of("log.level", &LEVELS.map(|level| (level, level))).to_owned(),
            },
            otel: read_otel(&mut reader),
            adapter_sets: reader.count("metrics.adapter_sets", 0..=10_000),
            effective: Vec::new(),
        };
        settings.check_exposure(&mut reader);
        if settings.engine.kind == EngineKind::Upstream && settings.upstream.servers.is_empty() {
            reader.fault("upstream.servers", "engine.kind is upstream, which needs one");
        }
        let effective = reader.finish()?;
        Ok(Self { effective, ..settings })
    }

    /// Listening beyond this machine needs keys, or to be said twice.
    fn check_exposure(&self, reader: &mut Reader) {
        let remote = reader.flag("allow_remote");
        for (key, address) in [("listen", self.listen), ("ops_listen", self.ops_listen)] {
            if !address.ip().is_loopback() && !remote && self.keys.file.is_none() {
                reader.fault(
                    key,
                    "anyone who reaches this address could use the gateway; have them asked for keys \
                     by keys.file, or set allow_remote = true if that is meant",
                );
            }
        }
    }
}

const ON_FAILURE: [(&str, OnFailure); 2] =
    [("closed", OnFailure::Closed), ("open", OnFailure::Open)];

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

fn read_engine(reader: &mut Reader) -> EngineSettings {
    const KINDS: [(&str, EngineKind); 3] = [
        ("local", EngineKind::Local),
        ("upstream", EngineKind::Upstream),
        ("mistralrs", EngineKind::Mistralrs),
    ];
    EngineSettings {
        kind: reader.one_of("engine.kind", &KINDS),
        threads: reader.optional_count("engine.threads", 1..=1_024),
        sequences: reader.count("engine.sequences", 1..=4_096),
        kv_bytes: reader.count("engine.kv_bytes", 1..=1 << 40),
        context_tokens: reader.optional_count("engine.context_tokens", 2..=1 << 24),
        precision: reader
            .one_of("engine.precision", &[("auto", Precision::Auto), ("f32", Precision::F32)]),
        variants_bytes: reader.count("engine.variants_bytes", 0..=1 << 40) as u64,
    }
}

fn read_audit(reader: &mut Reader) -> AuditSettings {
    AuditSettings {
        file: reader.path("audit.file"),
        on_failure: reader.one_of("audit.on_failure", &ON_FAILURE),
        queue_records: reader.count("audit.queue_records", 1..=1 << 20),
        sync: reader.seconds("audit.sync_seconds"),
        rotate_bytes: reader.count("audit.rotate_bytes", 0..=1 << 40) as u64,
    }
}

fn read_tls(reader: &mut Reader, table: &'static str, names: [&'static str; 2]) -> TlsSettings {
    let fault = |reader: &mut Reader, missing, there| {
        reader.fault(missing, &format!("it must be there if {there} is"));
    };
    match names.map(|name| reader.path(name)) {
        [Some(certificate), Some(key)] => return TlsSettings::On { table, certificate, key },
        [None, None] => {}
        [Some(_), None] => fault(reader, names[1], names[0]),
        [None, Some(_)] => fault(reader, names[0], names[1]),
    }
    TlsSettings::Off
}

fn read_policy(reader: &mut Reader) -> Policy {
    let bounds =
        ScaleBounds { low: reader.number("scales.low"), high: reader.number("scales.high") };
    if bounds.low > bounds.high {
        reader.fault("scales.low", "it is above scales.high");
    }
    Policy {
        bounds,
        default: reader.selection("default_adapters"),
        presets: reader.presets(bounds),
    }
}

fn read_moderation(reader: &mut Reader) -> ModerationSettings {
    const MODES: [(&str, Mode); 3] =
        [("off", Mode::Off), ("score", Mode::Score), ("block", Mode::Block)];
    ModerationSettings {
        policy: ModerationPolicy {
            input: reader.one_of("moderation.input", &MODES),
            output: reader.one_of("moderation.output", &MODES),
            on_failure: reader.one_of("moderation.on_failure", &ON_FAILURE),
        },
        encoder: reader.path("scoring.encoder"),
        thresholds: reader.thresholds("moderation.thresholds"),
        queue_jobs: reader.count("scoring.queue_jobs", 1..=1 << 20),
    }
}

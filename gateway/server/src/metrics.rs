//! What Prometheus is told.
//!
//! Labels are bounded by construction: routes are patterns, codes come from a table, and adapters
//! and sets of them are named only if they are registered, up to a limit. Times are in seconds.

mod exemplars;
mod family;
mod labels;
mod openmetrics;
mod scrape;
mod vllm;

pub(crate) use labels::{OTHER, SetLabels};
pub(crate) use vllm::render as render_vllm;

use exemplars::TracedHistogramVec;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

/// Buckets of whole requests: 10 ms doubling to 82 s.
const REQUEST_SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Buckets of the wait for a first token, as OpenTelemetry advises.
const FIRST_TOKEN_SECONDS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Buckets of the time between tokens: OpenTelemetry's, and finer ones below for small models.
const OUTPUT_TOKEN_SECONDS: [f64; 15] =
    [0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

/// Buckets of probabilities: even in the middle, finer where scorers are sure.
const SCORES: [f64; 17] =
    [0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999];

/// Buckets of scoring, and of waiting for it.
const SCORER_SECONDS: [f64; 12] =
    [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// Buckets of differences of probabilities: fine around none.
const SCORE_DELTAS: [f64; 18] = [
    -0.9, -0.5, -0.3, -0.2, -0.1, -0.05, -0.02, -0.01, -0.001, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2,
    0.3, 0.5, 0.9,
];

/// Buckets of differences of lengths in tokens.
const LENGTH_DELTAS: [f64; 14] =
    [-512.0, -128.0, -64.0, -32.0, -16.0, -4.0, -1.0, 0.0, 4.0, 16.0, 32.0, 64.0, 128.0, 512.0];

/// Buckets of divergences: 0.1 milli-nat to nats.
const DIVERGENCES: [f64; 14] =
    [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Buckets of loading an adapter.
const LOAD_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

family::metrics! {
    /// All metrics. Each field's documentation is its help text.
    pub struct Metrics {
        /// Requests answered.
        requests: IntCounterVec("lethe_requests_total", ["route", "status", "adapters"]),
        /// Time from a request's arrival to the last byte of its answer.
        request_seconds: TracedHistogramVec("lethe_request_duration_seconds", ["route", "adapters"], REQUEST_SECONDS),
        /// Time from a request's arrival to its first token.
        first_token_seconds: TracedHistogramVec("lethe_time_to_first_token_seconds", ["adapters"], FIRST_TOKEN_SECONDS),
        /// Mean time between the tokens of one answer.
        output_token_seconds: TracedHistogramVec("lethe_time_per_output_token_seconds", ["adapters"], OUTPUT_TOKEN_SECONDS),
        /// Tokens of prompts.
        prompt_tokens: IntCounterVec("lethe_prompt_tokens_total", ["adapters"]),
        /// Tokens generated.
        completion_tokens: IntCounterVec("lethe_completion_tokens_total", ["adapters"]),
        /// Requests that were given up because the client hung up.
        cancelled: IntCounterVec("lethe_requests_cancelled_total", ["route"]),
        /// Requests that were refused before any work was done, or failed, by error code.
        rejected: IntCounterVec("lethe_requests_rejected_total", ["reason"]),
        /// Requests by the key that they came with and how it was checked; `key` is its id, empty if there is none or it is unknown.
        key_requests: IntCounterVec("lethe_key_requests_total", ["key", "outcome"]),
        /// Changes of the key file, by whether it could be used.
        key_reloads: IntCounterVec("lethe_key_reloads_total", ["outcome"]),
        /// 1 if the key file has changed and cannot be used, so that the former keys still count.
        keys_stale: IntGauge("lethe_keys_stale", []),
        /// Records taken into the audit log.
        audit_records: IntCounter("lethe_audit_records_total", []),
        /// Records that the audit log lost, because it could not be written or too many waited.
        audit_lost: IntCounter("lethe_audit_records_lost_total", []),
        /// 1 if the audit log could not be written when that was last tried.
        audit_failing: IntGauge("lethe_audit_failing", []),
        /// When the audit log was last brought to the disk, in seconds since 1970; 0 if there is none.
        audit_synced: Gauge("lethe_audit_synced_timestamp_seconds", []),
        /// Request fields that were accepted and ignored.
        ignored_fields: IntCounterVec("lethe_ignored_fields_total", ["field"]),
        /// Requests admitted, waiting or running.
        admitted: IntGauge("lethe_requests_admitted", []),
        /// Sequences that generate.
        running: IntGauge("lethe_sequences_running", []),
        /// Sequences that wait for a place.
        waiting: IntGauge("lethe_sequences_waiting", []),
        /// Sequences of background jobs, which generate or wait.
        background: IntGauge("lethe_sequences_background", []),
        /// Share of the KV cache's blocks in use by running sequences.
        kv_usage: Gauge("lethe_kv_cache_usage_ratio", []),
        /// Blocks of the KV cache.
        kv_blocks: IntGauge("lethe_kv_cache_blocks", []),
        /// Prompt tokens looked up in the prefix cache.
        prefix_queries: IntCounter("lethe_prefix_cache_queries_tokens_total", []),
        /// Prompt tokens found in the prefix cache.
        prefix_hits: IntCounter("lethe_prefix_cache_hits_tokens_total", []),
        /// Sequences that lost their blocks to older ones and were computed again.
        preemptions: IntCounter("lethe_preemptions_total", []),
        /// Whether an upstream server is sent requests: 1, or 0 if it is unwell or keeps failing.
        upstream_available: IntGaugeVec("lethe_upstream_available", ["server"]),
        /// Sequences that an upstream server generates now.
        upstream_outstanding: IntGaugeVec("lethe_upstream_outstanding", ["server"]),
        /// Sequences sent to an upstream server, each attempt counted.
        upstream_requests: IntCounterVec("lethe_upstream_requests_total", ["server"]),
        /// Attempts that an upstream server did not answer, or not to the end.
        upstream_faults: IntCounterVec("lethe_upstream_faults_total", ["server", "reason"]),
        /// Composed adapters that this gateway has loaded at an upstream server.
        upstream_adapters: IntGaugeVec("lethe_upstream_adapters", ["server"]),
        /// Adapters loaded at, evicted from and refused by an upstream server.
        upstream_placements: IntCounterVec("lethe_upstream_placements_total", ["server", "outcome"]),
        /// Requests that used an adapter.
        adapter_requests: IntCounterVec("lethe_adapter_requests_total", ["adapter"]),
        /// Tokens generated with an adapter.
        adapter_tokens: IntCounterVec("lethe_adapter_tokens_total", ["adapter"]),
        /// Bytes that a loaded adapter holds.
        adapter_bytes: IntGaugeVec("lethe_adapter_resident_bytes", ["adapter"]),
        /// Highest rank of a loaded adapter.
        adapter_rank: IntGaugeVec("lethe_adapter_rank", ["adapter"]),
        /// Bytes that all adapter generations hold, those retired but still leased included.
        adapters_bytes: IntGauge("lethe_adapters_resident_bytes", []),
        /// Adapters that are loaded.
        adapters_loaded: IntGauge("lethe_adapters_loaded", []),
        /// Adapter generations that no name points to and running requests still hold.
        adapters_retired: IntGauge("lethe_adapters_retired", []),
        /// Adapters that were loaded before the last start and could not be again; each counts until its name is loaded or unloaded.
        adapters_unrestored: IntGauge("lethe_adapters_unrestored", []),
        /// Leases that running requests hold.
        adapter_leases: IntGauge("lethe_adapter_leases", []),
        /// Time to read, check and enter an adapter.
        adapter_load_seconds: HistogramVec("lethe_adapter_load_seconds", ["adapter", "outcome"], LOAD_SECONDS),
        /// Adapters loaded under a new name.
        adapter_loads: IntCounter("lethe_adapter_loads_total", []),
        /// Adapters that replaced another generation under its name.
        adapter_swaps: IntCounterVec("lethe_adapter_swaps_total", ["adapter"]),
        /// Adapter names taken away.
        adapter_unloads: IntCounter("lethe_adapter_unloads_total", []),
        /// Highest score of a prompt or an answer, in [0, 1]. One observation a text and category.
        toxicity_score: TracedHistogramVec("lethe_toxicity_score", ["direction", "category", "adapters", "scorer"], SCORES),
        /// Prompts and answers whose score reached the category's threshold.
        moderation_flagged: IntCounterVec("lethe_moderation_flagged_total", ["direction", "category", "adapters"]),
        /// Prompts refused and answers cut short, because they were flagged or could not be scored.
        moderation_blocked: IntCounterVec("lethe_moderation_blocked_total", ["direction", "reason", "adapters"]),
        /// The scorer that is served; its value is 1.
        scorer_info: IntGaugeVec("lethe_scorer_info", ["version"]),
        /// Time to score a batch of windows.
        scorer_seconds: HistogramVec("lethe_scorer_seconds", [], SCORER_SECONDS),
        /// Time that a job waited for the scorer.
        scorer_queue_seconds: HistogramVec("lethe_scorer_queue_seconds", [], SCORER_SECONDS),
        /// Jobs that wait for the scorer.
        scorer_waiting: IntGauge("lethe_scorer_jobs_waiting", []),
        /// Windows scored.
        scorer_windows: IntCounter("lethe_scorer_windows_total", []),
        /// Jobs that were not scored because too many waited.
        scorer_dropped: IntCounter("lethe_scorer_jobs_dropped_total", []),
        /// Jobs that were not scored because the scorer failed.
        scorer_failed: IntCounter("lethe_scorer_jobs_failed_total", []),
        /// Answer's score minus that of the base model's answer, of requests sampled for shadow runs.
        shadow_toxicity: HistogramVec("lethe_shadow_toxicity_delta", ["category", "adapters", "scorer"], SCORE_DELTAS),
        /// Answer's length in tokens minus that of the base model's answer, of the same requests.
        shadow_length: HistogramVec("lethe_shadow_length_delta_tokens", ["adapters"], LENGTH_DELTAS),
        /// Mean divergence of the adapted model from the base model along the answer, KL(adapted || base).
        shadow_divergence: HistogramVec("lethe_shadow_kl_nats_per_token", ["adapters"], DIVERGENCES),
        /// Spans by what became of them: exported, failed (the collector did not take them) or dropped (too many waited).
        trace_spans: IntCounterVec("lethe_trace_spans_total", ["outcome"]),
        /// Shadow runs by how they ended.
        shadow_runs: IntCounterVec("lethe_shadow_runs_total", ["outcome"]),
    }
}

impl Metrics {
    /// The page of OpenMetrics for what was gathered of them; it has exemplars.
    pub(crate) fn render_openmetrics(&self, families: &[MetricFamily]) -> String {
        let traced = [
            &self.request_seconds,
            &self.first_token_seconds,
            &self.output_token_seconds,
            &self.toxicity_score,
        ];
        openmetrics::render(families, &traced.map(TracedHistogramVec::exemplars))
    }
}

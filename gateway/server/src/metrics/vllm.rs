//! The gauges by which LoRA-aware schedulers choose a server, under the names that vLLM gave them.
//!
//! The [Gateway API Inference Extension](https://github.com/kubernetes-sigs/gateway-api-inference-extension/tree/main/docs/proposals/003-model-server-protocol)
//! reads them. They have an address of their own, `/metrics/vllm`, because their names break
//! Prometheus' rules and their label values would be unbounded if every scrape kept them.

use gateway_engine::Status;
use prometheus::{Gauge, GaugeVec, Opts, Registry, Result, TextEncoder};

/// The page for schedulers: how full the server is and which adapters it has in hand.
pub(crate) fn render(status: &Status, max_adapters: usize, unix_seconds: f64) -> Result<String> {
    let registry = Registry::new();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let [running, waiting, used, total] =
        [status.running, status.waiting, status.kv_blocks_used, status.kv_blocks_total]
            .map(|count| count as f64);
    for (name, help, value) in [
        ("vllm:num_requests_running", "Sequences that generate.", running),
        ("vllm:num_requests_waiting", "Sequences that wait for a place.", waiting),
        ("vllm:kv_cache_usage_perc", "Share of KV cache blocks in use.", used / total.max(1.0)),
    ] {
        let gauge = Gauge::new(name, help)?;
        gauge.set(value);
        registry.register(Box::new(gauge))?;
    }
    let info = GaugeVec::new(
        Opts::new("vllm:lora_requests_info", "Adapters in hand; the value is the time."),
        &["max_lora", "running_lora_adapters", "waiting_lora_adapters"],
    )?;
    let labels = [
        &max_adapters.to_string(),
        &status.running_adapters.join(","),
        &status.waiting_adapters.join(","),
    ];
    info.with_label_values(&labels).set(unix_seconds);
    registry.register(Box::new(info))?;
    TextEncoder::new().encode_to_string(&registry.gather())
}

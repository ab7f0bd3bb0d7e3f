//! Values that are read when Prometheus asks.

use adapters::Catalogue;
use gateway_engine::{Engine, Status, UpstreamStatus};
use prometheus::IntCounter;

use super::Metrics;

impl Metrics {
    /// Takes over what the engine and the catalogue say now.
    pub(crate) fn refresh(&self, engine: &dyn Engine, catalogue: &Catalogue) {
        self.refresh_engine(&engine.status());
        self.refresh_catalogue(catalogue);
    }

    fn refresh_engine(&self, status: &Status) {
        self.running.set(signed(status.running));
        self.waiting.set(signed(status.waiting));
        self.background.set(signed(status.background));
        self.kv_blocks.set(signed(status.kv_blocks_total));
        #[expect(clippy::cast_precision_loss, reason = "block counts are far below 2^53")]
        let usage = status.kv_blocks_used as f64 / status.kv_blocks_total.max(1) as f64;
        self.kv_usage.set(usage);
        raise(&self.prefix_queries, status.prefix_queries_tokens);
        raise(&self.prefix_hits, status.prefix_hits_tokens);
        raise(&self.preemptions, status.preemptions);
        status.upstreams.iter().for_each(|upstream| self.refresh_upstream(upstream));
    }

    fn refresh_upstream(&self, upstream: &UpstreamStatus) {
        let labels = [upstream.server.as_str()];
        self.upstream_available.with_label_values(&labels).set(i64::from(upstream.available));
        self.upstream_outstanding.with_label_values(&labels).set(signed(upstream.outstanding));
        self.upstream_adapters.with_label_values(&labels).set(signed(upstream.adapters));
        raise(&self.upstream_requests.with_label_values(&labels), upstream.requests);
        for (metric, counts) in [
            (&self.upstream_faults, &upstream.faults),
            (&self.upstream_placements, &upstream.placements),
        ] {
            for (word, total) in counts {
                raise(&metric.with_label_values(&[labels[0], word]), *total);
            }
        }
    }

    fn refresh_catalogue(&self, catalogue: &Catalogue) {
        let usage = catalogue.usage();
        self.adapters_bytes.set(i64::try_from(usage.resident_bytes).unwrap_or(i64::MAX));
        self.adapters_loaded.set(signed(usage.live_generations));
        self.adapters_retired.set(signed(usage.retired_generations));
        self.adapters_unrestored.set(signed(catalogue.restore_faults().len()));
        self.adapter_leases.set(signed(usage.leases));
        let counters = catalogue.counters();
        raise(&self.adapter_loads, counters.loads);
        raise(&self.adapter_unloads, counters.unloads);

        // Series of adapters that are gone go with them.
        self.adapter_bytes.reset();
        self.adapter_rank.reset();
        for adapter in catalogue.list() {
            let labels = [adapter.name.as_str()];
            let bytes = i64::try_from(adapter.resident_bytes).unwrap_or(i64::MAX);
            self.adapter_bytes.with_label_values(&labels).set(bytes);
            self.adapter_rank.with_label_values(&labels).set(signed(adapter.rank));
        }
    }
}

/// Brings a counter up to a total that is counted elsewhere.
fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

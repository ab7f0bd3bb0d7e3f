//! Histograms that can show an example: which trace an observation in a bucket came from.

use std::num::NonZeroU128;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Metric, MetricFamily};
use prometheus::{HistogramOpts, HistogramVec, Result};

use super::family::Family;
use crate::clock;

/// A histogram with, for each bucket of each series, its newest observation in a sampled trace.
///
/// **Invariant:** there are no more of them than there are buckets.
#[derive(Debug, Clone)]
pub struct TracedHistogramVec {
    histograms: HistogramVec,
    exemplars: Arc<Exemplars>,
}

/// An observation, and the trace that it was made in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    pub(super) trace_id: NonZeroU128,
    pub(super) value: f64,
    /// Since 1970.
    pub(super) at: Duration,
}

/// The exemplars of one metric.
#[derive(Debug)]
pub(super) struct Exemplars {
    name: String,
    labels: Vec<String>,
    /// The upper bounds of all buckets but the last, which has none.
    bounds: Vec<f64>,
    /// By the values of the labels, one place for each bucket.
    series: DashMap<String, Vec<Option<Exemplar>>>,
}

impl TracedHistogramVec {
    /// Observes `value`, in a trace if that is sampled.
    pub(crate) fn observe(&self, labels: &[&str], value: f64, trace_id: Option<NonZeroU128>) {
        self.histograms.with_label_values(labels).observe(value);
        if let Some(trace_id) = trace_id {
            self.exemplars.keep(labels, Exemplar { trace_id, value, at: clock::since_epoch() });
        }
    }

    pub(super) fn exemplars(&self) -> &Exemplars {
        &self.exemplars
    }
}

impl Exemplars {
    fn keep(&self, labels: &[&str], exemplar: Exemplar) {
        let bucket = self.bounds.partition_point(|bound| *bound < exemplar.value);
        let empty = || vec![None; self.bounds.len() + 1];
        let mut buckets = self.series.entry(key(labels)).or_insert_with(empty);
        buckets[bucket] = Some(exemplar);
    }

    /// The metric's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Those of one series, by bucket; none if it has no buckets yet.
    pub(super) fn of(&self, metric: &Metric) -> Vec<Option<Exemplar>> {
        let value = |name: &String| {
            let label = metric.get_label().iter().find(|label| label.name() == name);
            label.map_or("", |label| label.value())
        };
        let labels: Vec<&str> = self.labels.iter().map(value).collect();
        self.series.get(&key(&labels)).map(|buckets| buckets.clone()).unwrap_or_default()
    }
}

/// The values of labels in one text. No label has a control character in it.
fn key(labels: &[&str]) -> String {
    labels.join("\u{1f}")
}

impl Collector for TracedHistogramVec {
    fn desc(&self) -> Vec<&Desc> {
        self.histograms.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.histograms.collect()
    }
}

impl Family for TracedHistogramVec {
    fn make(name: &str, help: &str, labels: &[&str], buckets: Vec<f64>) -> Result<Self> {
        let exemplars = Exemplars {
            name: name.to_owned(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            bounds: buckets.clone(),
            series: DashMap::new(),
        };
        let histograms =
            HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?;
        Ok(Self { histograms, exemplars: Arc::new(exemplars) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(id: u128) -> Option<NonZeroU128> {
        NonZeroU128::new(id)
    }

    fn kept(histogram: &TracedHistogramVec, series: usize) -> Vec<Option<(u128, f64)>> {
        let families = histogram.collect();
        let exemplars = histogram.exemplars().of(&families[0].get_metric()[series]);
        let pair = |exemplar: Exemplar| (exemplar.trace_id.get(), exemplar.value);
        exemplars.into_iter().map(|exemplar| exemplar.map(pair)).collect()
    }

    #[test]
    fn the_newest_of_each_bucket_and_series_is_kept() {
        let make = TracedHistogramVec::make("h", "h", &["b", "a"], vec![1.0, 2.0]);
        let histogram = make.expect("a histogram");
        for (id, value) in [(1, 0.5), (2, 1.0), (3, 2.5), (4, 1.5), (5, 9.0)] {
            histogram.observe(&["x", "y"], value, trace(id));
        }
        histogram.observe(&["x", "y"], 0.1, None);
        assert_eq!(kept(&histogram, 0), [Some((2, 1.0)), Some((4, 1.5)), Some((5, 9.0))]);
        histogram.observe(&["y", "x"], 1.0, None);
        let both: Vec<_> = (0..2).map(|series| kept(&histogram, series)).collect();
        assert!(both.contains(&Vec::new()), "a series without traces has none: {both:?}");
        histogram.observe(&["y", "x"], 1.5, trace(7));
        let both: Vec<_> = (0..2).map(|series| kept(&histogram, series)).collect();
        assert!(both.contains(&vec![None, Some((7, 1.5)), None]), "{both:?}");
    }
}

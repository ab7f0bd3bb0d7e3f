//! One declaration a metric: field, name, labels and help text in one place.

use prometheus::core::Collector;
use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, Result,
};

/// A kind of metric that can be made from a declaration.
pub(super) trait Family: Collector + Clone + Sized + 'static {
    fn make(name: &str, help: &str, labels: &[&str], buckets: Vec<f64>) -> Result<Self>;
}

/// Makes a metric and enters it into `registry`.
pub(super) fn register<F: Family>(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: Vec<f64>,
) -> Result<F> {
    let family = F::make(name, help.trim(), labels, buckets)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

macro_rules! metrics {
    (
        $(#[$outer:meta])*
        pub struct $Metrics:ident {
            $(
                #[doc = $help:literal]
                $field:ident: $Family:ident($name:literal, [$($label:literal),*] $(, $buckets:expr)?),
            )*
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone)]
        pub struct $Metrics {
            $(#[doc = $help] pub $field: $Family,)*
        }

        impl $Metrics {
            /// Name, kind, labels and help text of each, for the reference page.
            pub const ALL: &[(&str, &str, &[&str], &str)] = &[
                $(($name, stringify!($Family), &[$($label),*], $help),)*
            ];

            /// Makes all metrics and enters them into `registry`.
            ///
            /// # Errors
            /// If one of the names is taken.
            pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
                Ok(Self {
                    $($field: family::register(
                        registry,
                        $name,
                        $help,
                        &[$($label),*],
                        Vec::new() $(.into_iter().chain($buckets).collect())?,
                    )?,)*
                })
            }
        }
    };
}
pub(super) use metrics;

impl Family for IntCounter {
    fn make(name: &str, help: &str, _: &[&str], _: Vec<f64>) -> Result<Self> {
        Self::new(name, help)
    }
}

impl Family for IntGauge {
    fn make(name: &str, help: &str, _: &[&str], _: Vec<f64>) -> Result<Self> {
        Self::new(name, help)
    }
}

impl Family for Gauge {
    fn make(name: &str, help: &str, _: &[&str], _: Vec<f64>) -> Result<Self> {
        Self::new(name, help)
    }
}

impl Family for IntCounterVec {
    fn make(name: &str, help: &str, labels: &[&str], _: Vec<f64>) -> Result<Self> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Family for IntGaugeVec {
    fn make(name: &str, help: &str, labels: &[&str], _: Vec<f64>) -> Result<Self> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Family for HistogramVec {
    fn make(name: &str, help: &str, labels: &[&str], buckets: Vec<f64>) -> Result<Self> {
        Self::new(HistogramOpts::new(name, help).buckets(buckets), labels)
    }
}

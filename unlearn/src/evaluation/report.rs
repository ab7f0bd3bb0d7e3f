//! What was measured, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::Interval;

/// One number and what it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// The test, such as `stereoset`.
    pub test: &'static str,
    /// The part of the test.
    pub domain: String,
    /// The number's name, such as `ss`.
    pub metric: &'static str,
    /// The number.
    pub value: f64,
    /// Where 95 % of resampled data put it, where that is known.
    pub interval: Option<Interval>,
    /// How many items or tokens went into it.
    pub items: usize,
}

/// An adapter that was applied.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AppliedAdapter {
    /// Its name.
    pub name: String,
    /// How strongly.
    pub scale: f32,
}

/// The measurements of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What requests call the model.
    pub model: String,
    /// Digest of its weights.
    pub weights: String,
    /// How weights were held: `f32` or `served`.
    pub precision: String,
    /// The adapters on it.
    pub adapters: Vec<AppliedAdapter>,
    /// The numbers.
    pub measurements: Vec<Measurement>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model {} ({}), weights {}", self.model, self.precision, self.weights)?;
        for adapter in &self.adapters {
            writeln!(f, "adapter {} at {}", adapter.name, adapter.scale)?;
        }
        self.measurements.iter().try_for_each(|measurement| writeln!(f, "{measurement}"))
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { test, domain, metric, value, interval, items } = self;
        write!(f, "{test:<10} {domain:<10} {metric:<14} {value:>8.3}  {items:>5} items")?;
        interval.map_or(Ok(()), |[low, high]| write!(f, "  95 % [{low:.2}, {high:.2}]"))
    }
}

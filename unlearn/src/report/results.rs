//! What `lethe-unlearn eval --json` writes.

use adapters::AdapterName;
use adapters::card::{Measurement, Word};
use serde::Deserialize;

use crate::corpus::Part;
use crate::evaluation::Table;

/// Sets or numbers in a file.
const MOST: usize = 100_000;

/// The results of an evaluation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    pub(super) model: String,
    pub(super) weights: String,
    pub(super) precision: String,
    pub(super) part: Part,
    pub(super) judges: Vec<String>,
    pub(super) base: Vec<BaseValue>,
    pub(super) sets: Vec<Set>,
    #[serde(default)]
    tables: Vec<Table>,
}

/// A number of the base.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BaseValue {
    pub(super) test: Word,
    pub(super) domain: Word,
    pub(super) metric: Word,
    pub(super) value: f64,
    pub(super) interval: [f64; 2],
    pub(super) items: u64,
}

/// A set of adapters, from one seed or several, beside the base.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Set {
    /// How it is written.
    pub(super) set: String,
    /// Its adapters, those of each seed apart.
    pub(super) seeds: Vec<Vec<Adapter>>,
    pub(super) measurements: Vec<Measurement>,
}

/// An adapter and how strongly it is applied.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Adapter {
    pub(super) name: AdapterName,
    pub(super) scale: f32,
}

/// What is measured: a test and its metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quantity<'a> {
    pub(super) test: &'a Word,
    pub(super) metric: &'a Word,
}

/// Why a file has no results.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// Not JSON of the expected form.
    #[error("the results are malformed: {0}")]
    Format(#[from] serde_json::Error),
    /// More than any evaluation gives.
    #[error("there are more than {MOST} results")]
    TooMany,
    /// A set has no adapters, or an interval runs backwards.
    #[error("set {0} of the results is malformed")]
    Set(usize),
}

impl Results {
    /// Reads results.
    ///
    /// # Errors
    /// [`ResultsError`] if `json` is not what an evaluation writes.
    pub fn parse(json: &[u8]) -> Result<Self, ResultsError> {
        let results: Self = serde_json::from_slice(json)?;
        let numbers: usize = results.sets.iter().map(|set| set.measurements.len()).sum();
        if results.base.len().max(results.sets.len()).max(numbers) > MOST {
            return Err(ResultsError::TooMany);
        }
        match results.sets.iter().position(|set| !set.is_whole()) {
            Some(index) => Err(ResultsError::Set(index + 1)),
            None => Ok(results),
        }
    }

    /// What readers call a set.
    pub(super) fn label<'a>(&'a self, set: &'a Set) -> &'a str {
        let mut rows = self.tables.iter().flat_map(|table| &table.rows);
        rows.find(|row| row.set == set.set).map_or(&set.set, |row| &row.label)
    }

    /// What was measured of any set, in order.
    pub(super) fn quantities(&self) -> Vec<Quantity<'_>> {
        let mut quantities = Vec::new();
        for measurement in self.sets.iter().flat_map(|set| &set.measurements) {
            let quantity = Quantity { test: &measurement.test, metric: &measurement.metric };
            if !quantities.contains(&quantity) {
                quantities.push(quantity);
            }
        }
        quantities
    }

    /// The domains that a quantity was measured on, in order.
    pub(super) fn domains(&self, quantity: Quantity<'_>) -> Vec<&Word> {
        let mut domains = Vec::new();
        for measurement in self.sets.iter().flat_map(|set| &set.measurements) {
            if quantity.is_of(measurement) && !domains.contains(&&measurement.domain) {
                domains.push(&measurement.domain);
            }
        }
        domains
    }
}

impl Set {
    fn is_whole(&self) -> bool {
        let size = self.seeds.first().map_or(0, Vec::len);
        let alike = self.seeds.iter().all(|seed| seed.len() == size);
        size > 0 && alike && self.measurements.iter().all(|m| m.interval[0] <= m.interval[1])
    }

    /// Whether it is one adapter, at full strength.
    pub(super) fn is_one(&self) -> bool {
        self.seeds.iter().all(|seed| seed.len() == 1) && self.is_full()
    }

    /// Whether every adapter is at full strength.
    pub(super) fn is_full(&self) -> bool {
        self.seeds.iter().flatten().all(|adapter| (adapter.scale - 1.0).abs() < f32::EPSILON)
    }

    /// What was measured of a quantity in a domain.
    pub(super) fn find(&self, quantity: Quantity<'_>, domain: &Word) -> Option<&Measurement> {
        self.measurements.iter().find(|m| quantity.is_of(m) && m.domain == *domain)
    }
}

impl Quantity<'_> {
    fn is_of(&self, measurement: &Measurement) -> bool {
        *self.test == measurement.test && *self.metric == measurement.metric
    }

    /// Its name for readers.
    pub(super) fn name(&self) -> String {
        let spaced = |word: &Word| word.as_str().replace('_', " ");
        format!("{}, {}", spaced(self.test), spaced(self.metric))
    }

    /// Whether an adapter is judged by it first of all.
    pub(super) fn is_headline(&self) -> bool {
        matches!(
            (self.test.as_str(), self.metric.as_str()),
            ("continuations" | "continuations_profanity", "toxicity_probability")
                | ("harmful" | "unbiased", "nll")
                | ("stereoset_swapped" | "redditbias_swapped", "abs_gap")
                | ("definitional", "agreement")
                | ("wikitext2", "perplexity")
                | ("stereoset", "lms")
                | ("chat", "kl")
        )
    }
}

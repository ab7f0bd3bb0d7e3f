//! What was measured, for people and for programs.

use std::fmt;

use adapters::card::{self, Word};
use serde::{Deserialize, Serialize};

use super::{Interval, Test};
use crate::corpus::Part;

/// One number of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The test.
    pub test: Test,
    /// The part of the test.
    pub domain: String,
    /// The number's name, such as `ss`.
    pub metric: String,
    /// The number.
    pub value: f64,
    /// Where 95 % of resampled items put it.
    pub interval: Interval,
    /// How many items went into it.
    pub items: usize,
}

/// An adapter that was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppliedAdapter {
    /// Its name.
    pub name: String,
    /// How strongly.
    pub scale: f32,
}

/// An adapter set beside the base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// How the set is written, such as `gender+race@0.5`; several seeds are separated by commas.
    pub set: String,
    /// Its adapters, those of each seed apart.
    pub seeds: Vec<Vec<AppliedAdapter>>,
    /// The numbers; over several seeds their means.
    pub measurements: Vec<card::Measurement>,
}

/// The measurements of a model and of adapters on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What requests call the model.
    pub model: String,
    /// Digest of its weights.
    pub weights: String,
    /// How weights were held: `f32` or `served`.
    pub precision: String,
    /// Which part of the data was measured on: `valid` or `test`.
    pub part: Part,
    /// Name and version of what judged continuations.
    pub judges: Vec<String>,
    /// The numbers of the model as it is.
    pub base: Vec<Measurement>,
    /// What adapters change.
    pub sets: Vec<Comparison>,
    /// Tables that a run file asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
}

/// Which sets a page's table has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What pages call it.
    pub name: Word,
    /// What it was measured on; all where none is named.
    #[serde(default)]
    pub domains: Vec<Word>,
    /// In order.
    pub rows: Vec<Row>,
}

impl Table {
    /// Whether a domain is among what it was measured on.
    pub(crate) fn has(&self, domain: &Word) -> bool {
        self.domains.is_empty() || self.domains.contains(domain)
    }
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What readers see.
    pub label: String,
    /// The set, as [`Comparison::set`] has it.
    pub set: String,
}

impl Report {
    /// Adds a table and what was measured for it, each number once.
    pub fn add(&mut self, table: Table, base: Vec<Measurement>, sets: Vec<Comparison>) {
        add_new(&mut self.base, base, |m| (m.test, m.domain.clone(), m.metric.clone()));
        for set in sets {
            match self.sets.iter_mut().find(|known| known.set == set.set) {
                Some(known) => add_new(&mut known.measurements, set.measurements, |m| {
                    (m.test.clone(), m.domain.clone(), m.metric.clone())
                }),
                None => self.sets.push(set),
            }
        }
        self.tables.push(table);
    }
}

/// Adds what has a key that nothing there has.
fn add_new<T, K: PartialEq>(all: &mut Vec<T>, new: Vec<T>, key: impl Fn(&T) -> K) {
    for item in new {
        if !all.iter().any(|known| key(known) == key(&item)) {
            all.push(item);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, weights, precision, part, judges, base, sets, tables: _ } = self;
        writeln!(f, "model {model} ({precision}), weights {weights}, {} part", part.name())?;
        judges.iter().try_for_each(|judge| writeln!(f, "judge {judge}"))?;
        base.iter().try_for_each(|measurement| writeln!(f, "{measurement}"))?;
        sets.iter().try_for_each(|set| write!(f, "\n{set}"))
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { test, domain, metric, value, interval: [low, high], items } = self;
        write!(f, "{test:<18} {domain:<18} {metric:<22} {value:>8.3}")?;
        write!(f, "  95 % [{low:.2}, {high:.2}]  {items:>5} items")
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.set)?;
        for measurement in &self.measurements {
            let card::Measurement { test, domain, metric, base, adapter, delta, .. } = measurement;
            let card::Measurement { interval: [low, high], items, seeds, .. } = measurement;
            let (test, domain, metric) = (test.as_str(), domain.as_str(), metric.as_str());
            write!(f, "{test:<18} {domain:<18} {metric:<22} {base:>8.3} -> {adapter:>8.3}")?;
            write!(f, "  {delta:+.3} [{low:+.3}, {high:+.3}]  {items:>5} items")?;
            writeln!(f, ", {seeds} {}", if seeds.get() == 1 { "seed" } else { "seeds" })?;
        }
        Ok(())
    }
}

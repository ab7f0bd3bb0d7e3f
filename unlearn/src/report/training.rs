//! A training run's log as curves.

use super::chart::{Chart, Series};
use super::html::{escape, gallery};
use crate::evaluation::{DataError, parse_lines};
use crate::training::Record;

/// The log of a training run.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingRun {
    name: String,
    records: Vec<Record>,
}

impl TrainingRun {
    /// Reads a log: a record a line.
    ///
    /// # Errors
    /// [`DataError`] with the line at fault.
    pub fn parse(name: &str, log: &str) -> Result<Self, DataError> {
        Ok(Self { name: name.to_owned(), records: parse_lines(log)? })
    }

    pub(super) fn section(&self) -> String {
        let mut charts: Vec<String> = Vec::new();
        let mut names: Vec<&String> = self.records.iter().flat_map(|r| r.losses.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let loss = |r: &Record| r.losses.get(name).map(|loss| f64::from(*loss));
            charts.push(self.chart(&format!("{name}, nats"), loss));
        }
        charts.push(self.chart("perplexity, base = 1", |r| r.perplexity));
        charts.push(self.chart("KL from the base, nats a token", |r| r.kl));
        charts.push(self.chart("gradient norm", |r| Some(r.gradient_norm)));
        charts.push(self.chart("learning rate", |r| Some(r.learning_rate)));
        charts.push(self.chart("tokens a second", |r| Some(r.tokens_per_second)));
        format!("<h3>{}</h3>\n{}", escape(&self.name), gallery(&charts))
    }

    /// A number over the steps at which it is known.
    #[expect(clippy::cast_precision_loss, reason = "steps are few")]
    fn chart(&self, title: &str, value: impl Fn(&Record) -> Option<f64>) -> String {
        let point = |record: &Record| Some((record.step as f64, value(record)?, None));
        let points = self.records.iter().filter_map(point).collect();
        let series = vec![Series { name: title.to_owned(), points }];
        Chart { title: title.to_owned(), axis: "step".to_owned(), series }.svg()
    }
}

//! Tables in Markdown.

use std::fmt::Write as _;

use adapters::card::{self, Word};

use super::TestMetric;
use crate::evaluation::{Comparison, Measurement, Report, Table};

/// A column for each domain of a metric; `None` if it was not measured.
pub(super) fn of_metric(report: &Report, name: &str, metric: TestMetric<'_>) -> Option<String> {
    let of = |m: &&Measurement| (m.test.name(), m.metric.as_str()) == metric;
    let table = table(report, name)?;
    let own = |m: &&Measurement| Word::parse(&m.domain).is_ok_and(|domain| table.has(&domain));
    let base: Vec<&Measurement> = report.base.iter().filter(of).filter(own).collect();
    let places = places(base.iter().map(|m| m.value));
    let mut rows = Vec::new();
    for wanted in &table.rows {
        let set = set(report, &wanted.set)?;
        let measured = |base: &&Measurement| {
            of_set(set, metric).find(|m| m.domain.as_str() == base.domain.as_str())
        };
        rows.push((wanted.label.as_str(), base.iter().map(measured).collect::<Vec<_>>()));
    }
    // A domain that no row of this table was measured in is another table's.
    let shown = |place: &usize| rows.iter().any(|(_, cells)| cells[*place].is_some());
    let places_shown: Vec<usize> = (0..base.len()).filter(shown).collect();
    if places_shown.is_empty() {
        return None;
    }
    let of_base = |cell: &dyn Fn(&Measurement) -> String| {
        places_shown.iter().map(|&place| cell(base[place])).collect::<Vec<_>>()
    };
    let mut text = header("", of_base(&|m| m.domain.clone()));
    text.push_str(&row("base", of_base(&|m| format!("{:.places$}", m.value))));
    for (label, cells) in rows {
        let cell = |&place: &usize| cells[place].map_or(String::new(), |m| change(m, places));
        text.push_str(&row(label, places_shown.iter().map(cell).collect()));
    }
    text.push_str(&row("items", of_base(&|m| m.items.to_string())));
    Some(text)
}

/// Everything that was measured of the first set of a table.
pub(super) fn of_all(report: &Report, name: &str) -> Option<String> {
    let table = table(report, name)?;
    let set = set(report, &table.rows.first()?.set)?;
    let columns = ["domain", "metric", "base", "adapter", "items"];
    let mut text = header("test", columns.map(str::to_owned).to_vec());
    for m in set.measurements.iter().filter(|m| table.has(&m.domain)) {
        let places = places(std::iter::once(m.base));
        let cells = [
            m.domain.to_string(),
            m.metric.to_string(),
            format!("{:.places$}", m.base),
            change(m, places),
            m.items.to_string(),
        ];
        text.push_str(&row(m.test.as_str(), cells.to_vec()));
    }
    Some(text)
}

/// The first set of each table, a column for each metric; a line for each domain where several were
/// measured.
pub(super) fn overview(
    report: &Report,
    names: &[&str],
    metrics: &[TestMetric<'_>],
) -> Option<String> {
    let title = |(test, metric): &TestMetric<'_>| format!("{test} {metric}");
    let mut text = header("", metrics.iter().map(title).collect());
    for name in names {
        let table = table(report, name)?;
        let first = table.rows.first()?;
        let set = set(report, &first.set)?;
        let cell = |metric: &TestMetric<'_>| {
            let own = of_set(set, *metric).filter(|m| table.has(&m.domain));
            let lines = own.map(|m| {
                let places = places(std::iter::once(m.base));
                format!("{:.places$} -> {}", m.base, change(m, places))
            });
            lines.collect::<Vec<_>>().join("<br>")
        };
        text.push_str(&row(&first.label, metrics.iter().map(cell).collect()));
    }
    Some(text)
}

fn table<'a>(report: &'a Report, name: &str) -> Option<&'a Table> {
    report.tables.iter().find(|table| table.name.as_str() == name)
}

fn set<'a>(report: &'a Report, set: &str) -> Option<&'a Comparison> {
    report.sets.iter().find(|known| known.set == set)
}

fn of_set<'a>(
    set: &'a Comparison,
    metric: TestMetric<'a>,
) -> impl Iterator<Item = &'a card::Measurement> {
    set.measurements.iter().filter(move |m| (m.test.as_str(), m.metric.as_str()) == metric)
}

/// Decimal places for numbers of a size.
fn places(mut values: impl Iterator<Item = f64>) -> usize {
    if values.any(|value| value.abs() >= 10.0) { 2 } else { 3 }
}

/// The value with adapters, what they changed, and the interval of that.
fn change(m: &card::Measurement, places: usize) -> String {
    let [low, high] = m.interval;
    let clear = if low > 0.0 || high < 0.0 { "**" } else { "" };
    let delta = format!("{clear}{:+.places$}{clear}", m.delta);
    format!("{:.places$} ({delta} [{low:+.places$}, {high:+.places$}])", m.adapter)
}

fn header(first: &str, columns: Vec<String>) -> String {
    let rule = columns.iter().map(|_| "---".to_owned()).collect();
    row(first, columns) + &row("---", rule)
}

fn row(label: &str, cells: Vec<String>) -> String {
    let mut text = format!("| {label} |");
    for cell in cells {
        // Writing to a string does not fail.
        let _ = write!(text, " {cell} |");
    }
    text.push('\n');
    text
}

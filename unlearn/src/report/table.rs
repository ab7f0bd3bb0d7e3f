//! Every number.

use adapters::card::Measurement;

use super::html::{escape, folded};
use super::number::{is_clear, short, signed};
use super::results::{BaseValue, Results, Set};

/// A table for the base and for each set.
pub(super) fn section(results: &Results) -> String {
    let rows: String = results.base.iter().map(base_row).collect();
    let base = table(&["test", "domain", "metric", "base", "95 %", "items"], &rows);
    let sets: String = results.sets.iter().map(set).collect();
    format!("<h3>All numbers</h3>\n{}{sets}", folded("base", &base))
}

fn set(set: &Set) -> String {
    let rows: String = set.measurements.iter().map(row).collect();
    let head = ["test", "domain", "metric", "base", "adapters", "change", "95 %", "items", "seeds"];
    folded(&set.set, &table(&head, &rows))
}

fn table(head: &[&str], rows: &str) -> String {
    let head: String = head.iter().map(|name| format!("<th>{name}</th>")).collect();
    format!("<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n")
}

fn base_row(value: &BaseValue) -> String {
    let BaseValue { test, domain, metric, value, interval, items } = value;
    cells(
        &[test.as_str(), domain.as_str(), metric.as_str()],
        &[short(*value), range(*interval, short), items.to_string()],
    )
}

fn row(measurement: &Measurement) -> String {
    let Measurement { test, domain, metric, base, adapter, delta, interval, items, seeds } =
        measurement;
    let star = if is_clear(*interval) { "*" } else { "" };
    cells(
        &[test.as_str(), domain.as_str(), metric.as_str()],
        &[
            short(*base),
            short(*adapter),
            signed(*delta) + star,
            range(*interval, signed),
            items.to_string(),
            seeds.to_string(),
        ],
    )
}

fn cells(names: &[&str], numbers: &[String]) -> String {
    let names: String = names.iter().map(|name| format!("<td>{}</td>", escape(name))).collect();
    let numbers: String =
        numbers.iter().map(|number| format!("<td class=\"number\">{number}</td>")).collect();
    format!("<tr>{names}{numbers}</tr>\n")
}

fn range([low, high]: [f64; 2], number: impl Fn(f64) -> String) -> String {
    format!("[{}, {}]", number(low), number(high))
}

//! Adapters and their controls side by side: each set's change with its interval.

use adapters::card::Measurement;

use super::chart::{grid_class, line};
use super::html::{label, svg};
use super::number::{signed, span, tick, ticks};
use super::plots::Plots;
use super::results::Results;

const WIDTH: f64 = 230.0;
const ROW: f64 = 20.0;
const HEAD: f64 = 28.0;
const FOOT: f64 = 22.0;
const LETTER: f64 = 6.6;

/// A plot for each quantity and domain of which several sets at full strength were measured.
pub(super) fn section(results: &Results) -> String {
    let mut plots = Plots::default();
    for quantity in results.quantities() {
        for domain in results.domains(quantity) {
            let full = results.sets.iter().filter(|set| set.is_full());
            let rows = full.filter_map(|set| Some((set.set.as_str(), set.find(quantity, domain)?)));
            let rows: Vec<_> = rows.collect();
            let title = format!("{}: {domain}", quantity.name());
            plots.add(quantity, (rows.len() > 1).then(|| plot(&title, &rows)));
        }
    }
    plots.under("<h3>Adapters beside controls</h3>\n<p>Change at scale 1 with its interval.</p>\n")
}

#[expect(clippy::cast_precision_loss, reason = "a few rows")]
fn plot(title: &str, rows: &[(&str, &Measurement)]) -> String {
    let ends = rows.iter().flat_map(|(_, m)| [m.interval[0], m.interval[1], m.delta]);
    // 0 is always in sight.
    let Some(x) = span(ends.chain([0.0])) else { return String::new() };
    let letters = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let left = 12.0 + LETTER * letters as f64;
    let across = |value: f64| left + WIDTH * (value - x[0]) / (x[1] - x[0]);
    let bottom = HEAD + ROW * rows.len() as f64;
    let mut content = label(0.0, 14.0, "head", title);
    for value in ticks(x) {
        let place = across(value);
        content += &line([place, HEAD], [place, bottom], grid_class(value));
        content += &label(place, bottom + 15.0, "middle", &tick(value));
    }
    for (index, (name, measured)) in rows.iter().enumerate() {
        let y = HEAD + ROW * (index as f64 + 0.5);
        let [low, high] = measured.interval.map(across);
        content += &label(left - 8.0, y + 4.0, "end", name);
        content += &line([low, y], [high, y], "whisker c0");
        content += &format!(
            "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" class=\"f0\"/>\n",
            across(measured.delta)
        );
        content += &label(left + WIDTH + 8.0, y + 4.0, "", &signed(measured.delta));
    }
    svg([left + WIDTH + 64.0, bottom + FOOT], title, &content)
}

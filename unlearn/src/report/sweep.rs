//! How a change grows with the scale.

use adapters::AdapterName;

use super::chart::{Chart, Series};
use super::html::escape;
use super::plots::Plots;
use super::results::{Quantity, Results, Set};

/// A plot for each adapter that was measured at several scales, and for each quantity; a line is a
/// domain. Scale 0 is the base.
pub(super) fn section(results: &Results) -> String {
    let sweeps = sweeps(&results.sets);
    let sections: String = sweeps.iter().map(|sweep| one(results, sweep)).collect();
    if sections.is_empty() {
        return sections;
    }
    format!("<h3>Scale</h3>\n<p>Change over the scale.</p>\n{sections}")
}

/// An adapter's sets by scale, the smallest first.
struct Sweep<'a> {
    names: Vec<&'a AdapterName>,
    sets: Vec<(f32, &'a Set)>,
}

/// Adapters that were measured alone at several scales, the same for every seed.
fn sweeps(sets: &[Set]) -> Vec<Sweep<'_>> {
    let mut sweeps: Vec<Sweep<'_>> = Vec::new();
    for set in sets {
        let adapters: Vec<_> = set.seeds.iter().filter(|s| s.len() == 1).flatten().collect();
        let Some(scale) = adapters.first().map(|adapter| adapter.scale) else { continue };
        let alike = adapters.iter().all(|adapter| adapter.scale.to_bits() == scale.to_bits());
        if adapters.len() < set.seeds.len() || !alike {
            continue;
        }
        let names: Vec<_> = adapters.iter().map(|adapter| &adapter.name).collect();
        match sweeps.iter_mut().find(|sweep| sweep.names == names) {
            Some(sweep) => sweep.sets.push((scale, set)),
            None => sweeps.push(Sweep { names, sets: vec![(scale, set)] }),
        }
    }
    sweeps.retain(|sweep| sweep.sets.len() > 1);
    for sweep in &mut sweeps {
        sweep.sets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    }
    sweeps
}

fn one(results: &Results, sweep: &Sweep<'_>) -> String {
    let mut plots = Plots::default();
    for quantity in results.quantities() {
        plots.add(quantity, Some(chart(results, sweep, quantity).svg()));
    }
    let names: Vec<_> = sweep.names.iter().map(|name| escape(name.as_str())).collect();
    plots.under(&format!("<h4>{}</h4>\n", names.join(", ")))
}

fn chart(results: &Results, sweep: &Sweep<'_>, quantity: Quantity<'_>) -> Chart {
    let series = results.domains(quantity).into_iter().map(|domain| {
        let points = sweep.sets.iter().filter_map(|(scale, set)| {
            let measured = set.find(quantity, domain)?;
            Some((f64::from(*scale), measured.delta, Some(measured.interval)))
        });
        let mut points: Vec<_> = points.collect();
        if !points.is_empty() && !points.iter().any(|(scale, ..)| *scale == 0.0) {
            points.push((0.0, 0.0, None));
            points.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
        }
        Series { name: domain.to_string(), points }
    });
    Chart { title: quantity.name(), axis: "scale".to_owned(), series: series.collect() }
}

//! Transfer: what an adapter does to each domain. Interference: what adapters do together beyond
//! what each does alone.

use adapters::card::Word;

use super::heat::{Cell, Heat};
use super::plots::Plots;
use super::results::{Quantity, Results, Set};

/// The sections; nothing where nothing was measured.
pub(super) fn sections(results: &Results) -> String {
    let ones: Vec<&Set> = results.sets.iter().filter(|set| set.is_one()).collect();
    let several = |set: &&Set| set.is_full() && set.seeds.iter().all(|seed| seed.len() > 1);
    let together: Vec<&Set> = results.sets.iter().filter(several).collect();
    let (mut transfer, mut sums, mut interference) =
        (Plots::default(), Plots::default(), Plots::default());
    for quantity in results.quantities() {
        let beyond =
            |set: &Set, quantity: Quantity<'_>, domain: &Word| excess(&ones, set, quantity, domain);
        transfer.add(quantity, heat(results, quantity, &ones, changed));
        sums.add(quantity, heat(results, quantity, &together, changed));
        interference.add(quantity, heat(results, quantity, &together, beyond));
    }
    [
        transfer.under(
            "<h3>Transfer</h3>\n<p>Change by one adapter at scale 1 (rows) in each domain (columns). \
             Controls are rows like others: what they do as well is mere damage.</p>\n",
        ),
        sums.under("<h3>Adapters together</h3>\n<p>Change by several adapters at scale 1.</p>\n"),
        interference.under(
            "<h3>Interference</h3>\n<p>Change by several adapters at scale 1, less the changes by \
             each of them alone.</p>\n",
        ),
    ]
    .concat()
}

/// Sets against domains, where anything is known.
fn heat(
    results: &Results,
    quantity: Quantity<'_>,
    sets: &[&Set],
    cell: impl Fn(&Set, Quantity<'_>, &Word) -> Option<Cell>,
) -> Option<String> {
    let domains = results.domains(quantity);
    let mut rows = Vec::new();
    for set in sets {
        let cells: Vec<_> = domains.iter().map(|domain| cell(set, quantity, domain)).collect();
        if cells.iter().any(Option::is_some) {
            rows.push((results.label(set).to_owned(), cells));
        }
    }
    let columns = domains.iter().map(ToString::to_string).collect();
    (!rows.is_empty()).then(|| Heat { title: quantity.name(), columns, rows }.svg())
}

fn changed(set: &Set, quantity: Quantity<'_>, domain: &Word) -> Option<Cell> {
    let measured = set.find(quantity, domain)?;
    Some(Cell { value: measured.delta, interval: Some(measured.interval) })
}

/// The change by a set less the changes by each of its adapters alone; `None` unless each was
/// measured alone, with the same seeds.
fn excess(ones: &[&Set], set: &Set, quantity: Quantity<'_>, domain: &Word) -> Option<Cell> {
    let mut value = set.find(quantity, domain)?.delta;
    for place in 0..set.seeds.first()?.len() {
        let alone: Vec<_> = set.seeds.iter().map(|seed| vec![seed[place].clone()]).collect();
        value -= ones.iter().find(|one| one.seeds == alone)?.find(quantity, domain)?.delta;
    }
    Some(Cell { value, interval: None })
}

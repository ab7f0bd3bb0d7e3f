//! A card as a page in Markdown: the scorer beside those measured in the same run.

use std::fmt::{self, Write as _};

use super::card::{Card, CategoryResult};
use super::metrics::Estimate;

impl Card {
    /// The page of `cards`, of which the first is the scorer's own. `overlap` is how many of
    /// HateCheck's cases the grammar makes word for word.
    ///
    /// # Errors
    /// Never in practice: writing into a text cannot fail.
    pub fn page(cards: &[Self], overlap: usize) -> Result<String, fmt::Error> {
        let Some(own) = cards.first() else { return Ok(String::new()) };
        let mut page = String::new();
        let items: Vec<_> =
            own.items.iter().map(|(name, count)| format!("{count} {name}")).collect();
        writeln!(page, "Measured: `{}`, on test texts: {}.\n", own.scorer, items.join(", "))?;
        writeln!(
            page,
            "Intervals are 95 %: bootstrap over items for curves, Wilson's for shares.\n"
        )?;
        categories(&mut page, cards)?;
        hatecheck(&mut page, cards, overlap)?;
        groups(&mut page, cards)?;
        functionalities(&mut page, cards)?;
        robustness(&mut page, cards)?;
        Ok(page)
    }
}

/// A table's head, with a column for each scorer.
fn head(page: &mut String, first: &[&str], cards: &[Card]) -> fmt::Result {
    let names = cards.iter().map(|card| card.scorer.as_str());
    let columns: Vec<_> = first.iter().copied().chain(names).collect();
    writeln!(page, "| {} |", columns.join(" | "))?;
    writeln!(page, "|{}", "---|".repeat(columns.len()))
}

/// A row's cells, one for each scorer.
fn cells(
    page: &mut String,
    cards: &[Card],
    cell: impl Fn(&Card) -> Option<Estimate>,
) -> fmt::Result {
    for card in cards {
        match cell(card) {
            Some(estimate) => write!(page, " {} |", percent(estimate))?,
            None => write!(page, " - |")?,
        }
    }
    writeln!(page)
}

fn percent(Estimate { value, interval: [low, high] }: Estimate) -> String {
    format!("{:.1} [{:.1}, {:.1}]", 100.0 * value, 100.0 * low, 100.0 * high)
}

fn categories(page: &mut String, cards: &[Card]) -> fmt::Result {
    type Field = fn(&CategoryResult) -> Estimate;
    let fields: [(&str, Field); 3] = [
        ("AUC", |result| result.auc),
        ("average precision", |result| result.average_precision),
        ("calibration error", |result| result.calibration_error),
    ];
    for (title, field) in fields {
        writeln!(page, "## {title}, %\n")?;
        head(page, &["category", "test", "texts", "positive"], cards)?;
        for row in cards.first().into_iter().flat_map(|card| &card.categories) {
            let CategoryResult { category, test, items, positives, .. } = row;
            write!(page, "| {category} | {test} | {items} | {positives} |")?;
            cells(page, cards, |card| {
                let same =
                    |other: &&CategoryResult| other.category == *category && other.test == *test;
                card.categories.iter().find(same).map(field)
            })?;
        }
        writeln!(page)?;
    }
    Ok(())
}

fn hatecheck(page: &mut String, cards: &[Card], overlap: usize) -> fmt::Result {
    writeln!(page, "## HateCheck: share of cases judged right, %\n")?;
    writeln!(
        page,
        "{overlap} of the cases are also among a million sentences of the training grammar.\n"
    )?;
    head(page, &["cases"], cards)?;
    write!(page, "| all |")?;
    cells(page, cards, |card| Some(card.hatecheck.accuracy))?;
    write!(page, "| hateful |")?;
    cells(page, cards, |card| Some(card.hatecheck.hateful))?;
    write!(page, "| not hateful |")?;
    cells(page, cards, |card| Some(card.hatecheck.not_hateful))?;
    writeln!(page)
}

fn groups(page: &mut String, cards: &[Card]) -> fmt::Result {
    writeln!(page, "## Neutral and positive mentions called hateful, %\n")?;
    head(page, &["group", "cases"], cards)?;
    for row in cards.first().into_iter().flat_map(|card| &card.hatecheck.groups) {
        write!(page, "| {} | {} |", row.group, row.items)?;
        cells(page, cards, |card| {
            let same = card.hatecheck.groups.iter().find(|other| other.group == row.group);
            same.map(|group| group.false_positive_rate)
        })?;
    }
    let spreads = cards.iter().map(|card| format!("{:.1}", 100.0 * card.hatecheck.spread));
    writeln!(page, "| highest minus lowest | | {} |\n", spreads.collect::<Vec<_>>().join(" | "))
}

fn functionalities(page: &mut String, cards: &[Card]) -> fmt::Result {
    writeln!(page, "## HateCheck by functionality: share judged right, %\n")?;
    head(page, &["functionality", "cases"], cards)?;
    for row in cards.first().into_iter().flat_map(|card| &card.hatecheck.functionalities) {
        write!(page, "| {} | {} |", row.name, row.items)?;
        cells(page, cards, |card| {
            let same = card.hatecheck.functionalities.iter().find(|other| other.name == row.name);
            same.map(|functionality| functionality.accuracy)
        })?;
    }
    writeln!(page)
}

fn robustness(page: &mut String, cards: &[Card]) -> fmt::Result {
    writeln!(page, "## Misspelled tweets (up to three words of each changed): toxicity\n")?;
    head(page, &["spelling", "measure, %"], cards)?;
    for row in cards.first().into_iter().flat_map(|card| &card.robustness) {
        let same =
            |card: &Card| card.robustness.iter().find(|r| r.spelling == row.spelling).cloned();
        write!(page, "| {} | AUC |", row.spelling)?;
        cells(page, cards, |card| same(card).map(|result| result.auc))?;
        write!(page, "| {} | toxic ones found |", row.spelling)?;
        cells(page, cards, |card| same(card).map(|result| result.recall))?;
    }
    Ok(())
}

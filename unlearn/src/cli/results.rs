//! `lethe-unlearn results`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adapters::{AdapterName, CARD_FILE};
use anyhow::Context as _;
use clap::Args;
use unlearn::card;
use unlearn::evaluation::{Report, page, read_bytes, read_text};

#[derive(Debug, Args)]
pub(crate) struct ResultsArgs {
    /// Results that `matrix` wrote.
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
    /// The page whose tables are made anew.
    #[arg(long, value_name = "FILE")]
    page: PathBuf,
    /// Folder of adapters whose cards get the numbers of the row that has the adapter's name.
    #[arg(long, value_name = "DIR")]
    cards: Option<PathBuf>,
}

impl ResultsArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let report: Report = serde_json::from_slice(&read_bytes(&self.json)?)
            .with_context(|| format!("{} has no results", self.json.display()))?;
        let text = page::rewrite(&read_text(&self.page)?, &report)?;
        std::fs::write(&self.page, text).context("the page cannot be written")?;
        self.cards.as_deref().map_or(Ok(()), |cards| fill(cards, &report))
    }
}

/// Puts numbers into the cards below a folder.
fn fill(cards: &Path, report: &Report) -> anyhow::Result<()> {
    let rows: BTreeMap<&str, &str> = report
        .tables
        .iter()
        .flat_map(|table| &table.rows)
        .map(|row| (row.label.as_str(), row.set.as_str()))
        .collect();
    for (label, set) in rows {
        let Ok(name) = AdapterName::parse(label) else { continue };
        let folder = cards.join(name.as_str());
        let found = report.sets.iter().find(|known| known.set == set);
        if let Some(found) = found.filter(|_| folder.join(CARD_FILE).exists()) {
            card::measured(&folder, found.measurements.clone())
                .with_context(|| format!("the card of {name}"))?;
            println!("{name}: {} numbers", found.measurements.len());
        }
    }
    Ok(())
}

//! `lethe-unlearn results`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use unlearn::evaluation::{Report, page, read_bytes, read_text};

#[derive(Debug, Args)]
pub(crate) struct ResultsArgs {
    /// Results that `matrix` wrote.
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
    /// The page whose tables are made anew.
    #[arg(long, value_name = "FILE")]
    page: PathBuf,
}

impl ResultsArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let report: Report = serde_json::from_slice(&read_bytes(&self.json)?)
            .with_context(|| format!("{} has no results", self.json.display()))?;
        let text = page::rewrite(&read_text(&self.page)?, &report)?;
        std::fs::write(&self.page, text).context("the page cannot be written")
    }
}

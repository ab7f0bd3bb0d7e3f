//! `lethe-unlearn merge`

use std::path::PathBuf;

use adapters::merge::Merged;
use anyhow::{Context as _, ensure};
use clap::Args;
use unlearn::export;

use super::base::{AdapterArgs, BaseArgs, borrowed};
use super::progress;

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    adapters: AdapterArgs,
    /// New folder for the merged model, in Hugging Face's format.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl MergeArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let model = self.base.open()?;
        let chosen = self.adapters.load(model.checkpoint().config())?;
        let adapters = borrowed(&chosen);
        ensure!(
            adapters.iter().any(|(_, scale)| *scale != 0.0),
            "say what to merge with --adapters-dir and --adapters"
        );
        let merged = Merged::new(model.checkpoint(), &adapters);
        let bar = progress::bar("merging", export::files(&merged));
        export::write_folder(&model, &merged, &self.out, &mut || bar.inc(1))
            .with_context(|| format!("{} is not complete", self.out.display()))?;
        bar.finish_and_clear();
        println!("{}", self.out.display());
        Ok(())
    }
}

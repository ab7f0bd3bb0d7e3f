//! `lethe-unlearn merge`

use std::path::PathBuf;

use adapters::merge::Merged;
use anyhow::{Context as _, ensure};
use clap::Args;
use model::export;

use super::base::BaseArgs;
use super::base::adapters::{AdapterSet, FolderArgs, borrowed};
use super::progress;

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    folder: FolderArgs,
    /// Adapters and their scales, such as gender+race@0.5.
    #[arg(long, value_name = "NAME[@SCALE]+...")]
    adapters: AdapterSet,
    /// New folder for the merged model, in Hugging Face's format.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl MergeArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let model = self.base.open()?;
        let loras = self.folder.open(&model).loras(&self.adapters)?;
        let adapters = borrowed(&loras);
        ensure!(adapters.iter().any(|(_, scale)| *scale != 0.0), "there is nothing to merge");
        let merged = Merged::new(model.checkpoint(), &adapters);
        let bar = progress::bar("merging", export::files(&merged));
        export::write_folder(&model, &merged, &self.out, &mut || bar.inc(1))
            .with_context(|| format!("{} is not complete", self.out.display()))?;
        bar.finish_and_clear();
        println!("{}", self.out.display());
        Ok(())
    }
}

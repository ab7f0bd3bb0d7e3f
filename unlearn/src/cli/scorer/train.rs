//! `lethe-unlearn scorer train`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use gateway_toxicity::{FastScorer, Scorer as _};
use model::source::{self, ModelStore};
use unlearn::evaluation::read_text;
use unlearn::scorer::data;
use unlearn::scorer::fast::{FastRun, Progress, open_encoder, train};

use crate::cli::progress;

/// Steps between lines where there is no terminal for a bar.
const LOG_STEPS: usize = 500;

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The run file.
    #[arg(long, value_name = "FILE")]
    run: PathBuf,
    /// Folder of data sets.
    #[arg(long, env = "LETHE_DATA", value_name = "DIR")]
    data: PathBuf,
    /// Folder for fetched models [default: lethe in the user's cache folder].
    #[arg(long, env = "LETHE_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
    /// The scorer's file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl TrainArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let run = FastRun::parse(&read_text(&self.run)?)?;
        let examples = data::load(&self.data)?;
        let store = ModelStore::new(&self.home.clone().unwrap_or_else(source::default_home));
        let weights = store.get(&run.weights_source()?)?;
        let vocabulary = read_text(&store.get(&run.vocabulary_source()?)?)?;
        let bar = progress::bar("steps", 0);
        let tick = &mut |Progress { step, steps, loss }: Progress| {
            bar.set_length(steps as u64);
            bar.set_position(step as u64);
            bar.set_message(format!("loss {loss:.4}"));
            if bar.is_hidden() && step % LOG_STEPS == 0 {
                println!("step {step} of {steps}, loss {loss:.4}");
            }
        };
        let trained = train(&run, &examples, &open_encoder(&weights)?, &vocabulary, tick)?;
        bar.finish_and_clear();
        let bytes = trained.to_bytes()?;
        std::fs::write(&self.out, &bytes).context("the scorer cannot be written")?;
        println!("{}", FastScorer::from_bytes(&bytes)?.version());
        Ok(())
    }
}

//! `lethe-unlearn scorer`

mod eval;
mod train;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum ScorerCommand {
    /// Trains the fast scorer.
    Train(train::TrainArgs),
    /// Measures a scorer beside others on test texts.
    Eval(eval::EvalArgs),
}

impl ScorerCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Train(arguments) => arguments.run(),
            Self::Eval(arguments) => arguments.run(),
        }
    }
}

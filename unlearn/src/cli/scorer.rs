//! `lethe-unlearn scorer`

mod eval;
mod heads;
mod train;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum ScorerCommand {
    /// Trains heads on a sentence encoder.
    Heads(heads::HeadsArgs),
    /// Trains the fast scorer.
    Train(train::TrainArgs),
    /// Measures a scorer beside others on test texts.
    Eval(eval::EvalArgs),
}

impl ScorerCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Heads(arguments) => arguments.run(),
            Self::Train(arguments) => arguments.run(),
            Self::Eval(arguments) => arguments.run(),
        }
    }
}

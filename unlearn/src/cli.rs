//! What the program can be asked to do.

mod base;
mod bench;
mod data;
mod device;
mod eval;
mod matrix;
mod merge;
mod peer;
mod progress;
mod report;
mod results;
mod scorer;
mod seed;
mod train;

use clap::{Parser, Subcommand};

/// Measures language models and what adapters do to them, and makes toxicity scorers.
#[derive(Debug, Parser)]
#[command(name = "lethe-unlearn", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Times training on random tokens.
    Bench(bench::BenchArgs),
    /// Shows what training reads.
    #[command(subcommand)]
    Data(data::DataCommand),
    /// Measures bias and perplexity of a model, with or without adapters.
    Eval(eval::EvalArgs),
    /// Measures many adapter sets, as a run file says, and makes tables of them.
    Matrix(matrix::MatrixArgs),
    /// Folds adapters into a model and writes it as a plain one.
    Merge(merge::MergeArgs),
    /// Writes one page with the plots of training runs and evaluations.
    Report(report::ReportArgs),
    /// Puts tables into a page.
    Results(results::ResultsArgs),
    /// Makes and measures toxicity scorers.
    #[command(subcommand)]
    Scorer(scorer::ScorerCommand),
    /// Makes an adapter from a run file.
    Train(train::TrainArgs),
    /// Writes an untrained adapter with seeded weights, for tests and demonstrations.
    Seed(seed::SeedArgs),
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Bench(arguments) => arguments.run(),
            Command::Data(command) => command.run(),
            Command::Eval(arguments) => arguments.run(),
            Command::Matrix(arguments) => arguments.run(),
            Command::Merge(arguments) => arguments.run(),
            Command::Report(arguments) => arguments.run(),
            Command::Results(arguments) => arguments.run(),
            Command::Scorer(command) => command.run(),
            Command::Seed(arguments) => arguments.run(),
            Command::Train(arguments) => arguments.run(),
        }
    }
}

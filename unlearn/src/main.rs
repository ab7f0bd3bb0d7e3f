//! The `lethe-unlearn` program.
#![expect(clippy::print_stdout, reason = "a terminal program's results")]

mod cli;

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    cli::Cli::parse().run()
}

//! Kills gateways while everything that they keep is being changed, and checks what is left.
//!
//! `cargo build --release -p gateway-server && cargo run --release -p acceptance --bin crash -- --rounds 200`
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::path::PathBuf;
use std::time::Instant;

use acceptance::crash::World;
use acceptance::gateway::sibling;
use anyhow::Context as _;
use clap::Parser;

/// Kills gateways at random moments and checks that nothing that was acknowledged is lost.
#[derive(Debug, Parser)]
struct Arguments {
    /// The gateway's program; the one beside this program if not given.
    #[arg(long)]
    gateway: Option<PathBuf>,
    /// How often it is killed.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Of the moments and the changes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let program = match arguments.gateway {
        Some(program) => program,
        None => sibling()?,
    };
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let mut world = World::new(&program, folder.path(), arguments.seed)?;
    let outcome = (1..=arguments.rounds)
        .try_for_each(|round| world.round().with_context(|| format!("round {round}")))
        .and_then(|()| world.finish().context("the last start"));
    if let Err(error) = outcome {
        println!("what was left is in {}", folder.keep().display());
        return Err(error);
    }
    let seconds = started.elapsed().as_secs();
    println!("{} kills in {seconds} s: {:?}", arguments.rounds, world.totals());
    Ok(())
}

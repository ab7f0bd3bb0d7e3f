//! Whether two gateways say the same: one with an engine of its own, one with other servers.
//!
//! Both are asked for the log-probabilities of the same texts under the same adapters. Where the
//! second can score no prompts, the likeliest next tokens are compared instead.

#![expect(clippy::print_stdout, reason = "a program that reports")]

mod gateway;
mod measure;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use gateway::{Gateway, Scores, Scoring};
use measure::{Difference, mean_difference};

/// Compares a gateway before other servers with one that computes itself.
#[derive(Debug, Parser)]
struct Arguments {
    /// The gateway with the local engine, such as http://127.0.0.1:8080.
    #[arg(long)]
    local: String,
    /// The gateway before other servers.
    #[arg(long)]
    upstream: String,
    /// A set of adapters, such as gender=0.5,race; given as often as there are sets.
    #[arg(long = "set", value_name = "ADAPTERS")]
    sets: Vec<String>,
    /// The largest mean difference that is precision, in nats a token.
    #[arg(long, default_value_t = 0.06)]
    tolerance: f64,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let local = Gateway::open(&arguments.local)?;
    let upstream = Gateway::open(&arguments.upstream)?;
    let scoring = upstream.scoring()?;
    let base = local.scores("", scoring).context("the base model")?;
    println!("{:<32} {:>7} {:>11} {:>8}", "adapters", "tokens", "difference", "effect");
    let mut good = report("", &base, &base, &upstream, scoring, arguments.tolerance)?;
    for set in &arguments.sets {
        let here = local.scores(set, scoring).with_context(|| set.clone())?;
        good &= report(set, &base, &here, &upstream, scoring, arguments.tolerance)?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints how far `upstream` is from `here` under `set`; whether that is near enough: within the
/// tolerance, and nearer than the base by half of what the adapters do.
fn report(
    set: &str,
    base: &Scores,
    here: &Scores,
    upstream: &Gateway,
    scoring: Scoring,
    tolerance: f64,
) -> anyhow::Result<bool> {
    let there = upstream.scores(set, scoring).with_context(|| format!("upstream, {set}"))?;
    let Difference { mean: difference, tokens } = mean_difference(here, &there)?;
    let effect = mean_difference(here, base)?.mean;
    let name = if set.is_empty() { "(none)" } else { set };
    println!("{name:<32} {tokens:>7} {difference:>11.4} {effect:>8.4}");
    Ok(difference <= tolerance && (set.is_empty() || difference <= effect / 2.0))
}

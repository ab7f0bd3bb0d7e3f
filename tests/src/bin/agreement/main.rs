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

/// How much farther than the base an answer with adapters may be, as a share of what they do:
/// servers round their weights too.
const ROUNDING: f64 = 0.15;

/// Compares a gateway before other servers with one that computes itself.
#[derive(Debug, Parser)]
struct Arguments {
    /// The gateway with the local engine, at the root of its API.
    #[arg(long)]
    local: String,
    /// The gateway before other servers.
    #[arg(long)]
    upstream: String,
    /// A set of adapters, such as gender=0.5,race; given as often as there are sets.
    #[arg(long = "set", value_name = "ADAPTERS")]
    sets: Vec<String>,
    /// The largest mean difference of the base model that is precision, in nats a token.
    #[arg(long, default_value_t = 0.08)]
    tolerance: f64,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let local = Gateway::open(&arguments.local)?;
    let upstream = Gateway::open(&arguments.upstream)?;
    let scoring = upstream.scoring()?;
    let base = local.scores("", scoring).context("the base model")?;
    println!("{:<32} {:>7} {:>11} {:>8}", "adapters", "tokens", "difference", "effect");
    let precision = report("", &base, &base, &upstream, scoring)?.difference;
    let mut good = precision <= arguments.tolerance;
    for set in &arguments.sets {
        let here = local.scores(set, scoring).with_context(|| set.clone())?;
        let found = report(set, &base, &here, &upstream, scoring)?;
        good &= found.difference <= precision + ROUNDING * found.effect;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was found of one set of adapters, in nats a token.
struct Found {
    /// Between the gateways.
    difference: f64,
    /// Between the base model and the set, by the local engine.
    effect: f64,
}

/// Compares and prints.
fn report(
    set: &str,
    base: &Scores,
    here: &Scores,
    upstream: &Gateway,
    scoring: Scoring,
) -> anyhow::Result<Found> {
    let there = upstream.scores(set, scoring).with_context(|| format!("upstream, {set}"))?;
    let Difference { mean: difference, tokens } = mean_difference(here, &there)?;
    let effect = mean_difference(here, base)?.mean;
    let name = if set.is_empty() { "(none)" } else { set };
    println!("{name:<32} {tokens:>7} {difference:>11.4} {effect:>8.4}");
    Ok(Found { difference, effect })
}

//! What scoring costs: generation throughput through the real server, with scoring on and off.
//!
//! `cargo run --release --manifest-path deploy/bench/Cargo.toml --bin scoring -- --home HOME`
//!
//! Two gateways share one engine and differ in their settings alone. Turns of concurrent streams
//! over HTTP go to one and the other in pairs, whose order alternates, so that a machine whose
//! speed drifts hurts both alike; the ratio of each pair is what counts. Beside it stands how much
//! processor time the scorer's thread took of all that the gateways took while they scored.

mod client;
mod cpu;
mod gateways;
mod pairs;

use std::path::PathBuf;

use clap::Parser;
use model::source::DEFAULT_MODEL;

use client::Load;
use cpu::Cpu;
use gateways::{Gateway, Scoring};

/// Measures generation throughput with scoring on and off.
#[derive(Debug, Parser)]
struct Arguments {
    /// The model: a path or a source.
    #[arg(long, default_value = DEFAULT_MODEL)]
    model: String,
    /// Where fetched models are kept.
    #[arg(long)]
    home: PathBuf,
    /// Pairs of turns that count.
    #[arg(long, default_value_t = 60)]
    pairs: usize,
    /// Streams at a time.
    #[arg(long, default_value_t = 8)]
    streams: usize,
    /// Tokens that each stream generates.
    #[arg(long, default_value_t = 64)]
    tokens: usize,
}

/// The name of the scorer's thread.
const SCORER: &str = "scorer";

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let parts = gateways::load(&arguments.model, &arguments.home)?;
    let version = parts.version();
    let on = Gateway::start(&parts, Scoring::On)?;
    let off = Gateway::start(&parts, Scoring::Off)?;
    let load = Load { model: parts.model(), streams: arguments.streams, tokens: arguments.tokens };

    // The first pair warms caches and is not counted.
    for gateway in [&on, &off] {
        load.seconds(gateway.address())?;
    }
    let mut cpu = Cpu::default();
    let mut measured = Vec::with_capacity(arguments.pairs);
    for pair in 0..arguments.pairs {
        let mut scored = || -> anyhow::Result<f64> {
            let before = Cpu::now(SCORER)?;
            let seconds = load.seconds(on.address())?;
            cpu.add(Cpu::now(SCORER)?.since(before));
            Ok(seconds)
        };
        let plain = || load.seconds(off.address());
        let turns = if pair % 2 == 0 {
            (scored()?, plain()?)
        } else {
            let plain = plain()?;
            (scored()?, plain)
        };
        measured.push(turns);
    }
    report(&arguments, &version, &measured, cpu);
    Ok(())
}

fn report(arguments: &Arguments, scorer: &str, measured: &[(f64, f64)], cpu: Cpu) {
    let tokens = (arguments.streams * arguments.tokens) as f64;
    let (on, off): (Vec<f64>, Vec<f64>) = measured.iter().copied().unzip();
    let ratio = pairs::ratio(measured);
    println!(
        "{scorer}: {} pairs of turns, {} streams of {} tokens",
        measured.len(),
        arguments.streams,
        arguments.tokens
    );
    println!("scoring off      {:8.1} tokens a second, median", tokens / pairs::median(off));
    println!("scoring on       {:8.1} tokens a second, median", tokens / pairs::median(on));
    println!(
        "on / off           {:.4}, 95 % of the median within {:.4} to {:.4}",
        ratio.median, ratio.low, ratio.high
    );
    println!(
        "scorer's thread    {:.2} % of the gateways' processor time, {:.1} ms for 1,000 tokens",
        100.0 * cpu.named / cpu.all,
        1e6 * cpu.named / (tokens * measured.len() as f64)
    );
}

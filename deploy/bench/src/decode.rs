//! Decode speed of the local engine beside candle-transformers' own quantised Llama, in one run.
//!
//! `cargo run --release --manifest-path deploy/bench/Cargo.toml --bin decode`
//!
//! The peer runs the same weights rounded to Q8_0, which is the fastest format that candle has
//! for this model. The four measurements take turns, so that a machine whose speed drifts hurts
//! them alike; medians and their ratios are printed.

mod candle;
mod lethe;

use std::path::{Path, PathBuf};

use clap::Parser;
use model::source::{DEFAULT_MODEL, ModelSource, ModelStore};

/// Measures decode speed in tokens a second.
#[derive(Debug, Parser)]
struct Arguments {
    /// The model: a GGUF file of the Llama family, or a source.
    #[arg(long, default_value = DEFAULT_MODEL)]
    model: String,
    /// Where fetched models are kept.
    #[arg(long)]
    home: PathBuf,
    /// Turns that count.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Tokens generated in a turn, for each stream.
    #[arg(long, default_value_t = 128)]
    tokens: usize,
    /// Streams with an adapter vector each.
    #[arg(long, default_value_t = 8)]
    streams: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let source: ModelSource = arguments.model.parse()?;
    let path = ModelStore::new(&arguments.home).get(&source)?;
    let scratch = tempfile::tempdir()?;
    let prompt: Vec<u32> = (0..64).map(|i| 1000 + i * 37).collect();

    let mut peer = candle::Peer::load(&path, scratch.path())?;
    let mut ours = lethe::Ours::load(&path, scratch.path(), arguments.streams)?;
    let [mut candle, mut single, mut base, mut adapted] = [const { Vec::new() }; 4];
    for round in 0..=arguments.rounds {
        let speeds = [
            peer.decode(&prompt, arguments.tokens)?,
            ours.single(&prompt, arguments.tokens)?,
            ours.base_streams(&prompt, arguments.tokens)?,
            ours.adapted_streams(&prompt, arguments.tokens)?,
        ];
        // The first turn warms caches and is not counted.
        if round > 0 {
            candle.push(speeds[0]);
            single.push(speeds[1]);
            base.push(speeds[2]);
            adapted.push(speeds[3]);
        }
    }
    report(&path, &arguments, [candle, single, base, adapted].map(median));
    Ok(())
}

fn report(path: &Path, arguments: &Arguments, [candle, single, base, adapted]: [f64; 4]) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let streams = arguments.streams;
    println!("{name}: tokens a second, medians of {}", arguments.rounds);
    println!("candle-transformers Q8_0, 1 stream         {candle:8.1}");
    println!(
        "lethe, 1 stream                            {single:8.1}   {:.2} x candle",
        single / candle
    );
    println!(
        "lethe, {streams} streams                           {base:8.1}   {:.2} x 1 stream",
        base / single
    );
    println!(
        "lethe, {streams} streams, {streams} adapter vectors      {adapted:8.1}   {:.2} x 1 stream",
        adapted / single
    );
}

fn median(mut speeds: Vec<f64>) -> f64 {
    speeds.sort_by(f64::total_cmp);
    speeds[speeds.len() / 2]
}

//! A gateway at full load for long, with swaps, clients that hang up and bad input, whose memory
//! may not grow and which may not fail but where it was made to.
//!
//! `cargo build --release -p gateway-server && cargo run --release -p acceptance --bin soak -- --minutes 30`
#![expect(clippy::print_stdout, reason = "a program for the command line")]

mod people;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use acceptance::gateway::{Process, sibling, tiny_adapters, tiny_model};
use anyhow::{Context as _, ensure};
use clap::Parser;

use people::People;

/// Keeps a gateway busy and looks for leaks and errors.
#[derive(Debug, Parser)]
struct Arguments {
    /// The gateway's program; the one beside this program if not given.
    #[arg(long)]
    gateway: Option<PathBuf>,
    /// How long, beside a tenth of it to warm up.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Clients that stream.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// The growth of memory from the first third to the last that is a leak, in per cent.
    #[arg(long, default_value_t = 5.0)]
    growth: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let program = arguments.gateway.map_or_else(sibling, Ok)?;
    let folder = tempfile::tempdir()?;
    let gateway = start(&program, folder.path())?;
    let people = People::new(gateway.address);
    let time = Duration::from_secs_f64(arguments.minutes * 60.0);
    let samples = std::thread::scope(|scope| {
        people.begin(scope, arguments.clients);
        let samples = sample(&gateway, time / 10).and_then(|_| sample(&gateway, time));
        people.end();
        samples
    })?;
    print!("{people}");
    let third = samples.len().div_ceil(3);
    let median = |part: &[u64]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part.get(part.len() / 2).copied().unwrap_or_default()
    };
    let (first, last) = (median(&samples[..third]), median(&samples[samples.len() - third..]));
    println!("memory: {} MiB in the first third, {} MiB in the last", first >> 20, last >> 20);
    gateway.stop()?;
    #[expect(clippy::cast_precision_loss, reason = "bytes of memory are far below 2^53")]
    let growth = (last as f64 / first as f64 - 1.0) * 100.0;
    ensure!(growth <= arguments.growth, "memory grew by {growth:.1} %");
    people.check()
}

fn start(program: &Path, folder: &Path) -> anyhow::Result<Process> {
    let text = |path: &Path| path.to_str().map(str::to_owned).context("UTF-8");
    let (model, adapters) = (text(tiny_model())?, text(tiny_adapters())?);
    let (home, audit) = (text(folder)?, text(&folder.join("audit.jsonl"))?);
    let options = [
        ["--model", &model],
        ["--adapters", &adapters],
        ["--home", &home],
        ["--audit-file", &audit],
        ["--engine-kv-bytes", "33554432"],
        ["--shadow-rate", "0.05"],
    ];
    Process::start(program, &options.concat())
}

/// The memory, a hundred times within `time`; told ten times.
fn sample(gateway: &Process, time: Duration) -> anyhow::Result<Vec<u64>> {
    let start = Instant::now();
    let mut samples = Vec::new();
    for number in 1..=100_u32 {
        std::thread::sleep((time / 100 * number).saturating_sub(start.elapsed()));
        samples.push(gateway.resident_bytes()?);
        if number % 10 == 0 {
            let (seconds, memory) = (start.elapsed().as_secs(), samples[samples.len() - 1] >> 20);
            println!("after {seconds} s: {memory} MiB");
        }
    }
    Ok(samples)
}

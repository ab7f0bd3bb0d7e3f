//! Load on several servers in turn, and how they compare.
//!
//! `cargo run --release -p acceptance --bin load -- --target lethe=http://127.0.0.1:8080 ...`
//!
//! The servers get the same prompts, as token ids, in turns within one run, so that a machine whose
//! speed drifts hurts them alike. Each answers with exactly the tokens that were asked for. Ratios
//! are of turns of the same round.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

mod dialect;
mod mix;
mod pause;
mod plan;
mod process;
mod prompt;
mod report;
mod stream;
mod summary;
mod target;
mod turn;

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Parser;

use mix::Mix;
use pause::Paused;
use plan::Plan;
use report::{Report, Row};
use target::{Named, Target};
use turn::Turn;

/// Puts load on OpenAI-compatible servers and compares them: Lethe, llama.cpp's, vLLM.
#[derive(Debug, Parser)]
struct Arguments {
    /// A server, such as lethe=http://127.0.0.1:8080. The first is compared with each of the others.
    #[arg(long = "target", value_name = "NAME=URL", required = true)]
    targets: Vec<Named<String>>,
    /// A server's process: its resident memory is read, with that of its children, and it stands still
    /// while it is another's turn.
    #[arg(long = "process", value_name = "NAME=PID")]
    processes: Vec<Named<u32>>,
    /// Requests at the same time.
    #[arg(long, value_delimiter = ',', default_value = "1,8,32")]
    streams: Vec<usize>,
    /// Which adapters requests choose.
    #[arg(long, value_delimiter = ',', default_value = "none")]
    mix: Vec<Mix>,
    #[command(flatten)]
    plan: Plan,
    /// Turns of each server that count.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Turns before them that do not.
    #[arg(long, default_value_t = 1)]
    warm_up: usize,
    /// Also writes every number here, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let plan = &arguments.plan;
    plan.check()?;
    ensure!(arguments.rounds > 0 && !arguments.streams.contains(&0), "there is nothing to do");
    let targets = open(&arguments)?;
    let mut report = Report::new(plan, &targets);
    for &streams in &arguments.streams {
        for &mix in &arguments.mix {
            report.rows.extend(measure(&arguments, &targets, streams, mix)?);
        }
    }
    print!("{report}");
    let Some(file) = &arguments.json else { return Ok(()) };
    let text = serde_json::to_string_pretty(&report)? + "\n";
    std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}

fn open(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let mut targets: Vec<Target> = Vec::new();
    for named in &arguments.targets {
        let twice = targets.iter().any(|other| other.name == named.name);
        ensure!(!twice, "two targets are called {}", named.name);
        let target = Target::open(named).with_context(|| format!("target {}", named.name))?;
        targets.push(target);
    }
    for process in &arguments.processes {
        match targets.iter_mut().find(|target| target.name == process.name) {
            Some(target) => target.process = Some(process.value),
            None => bail!("--process names {}, which is no target", process.name),
        }
    }
    Ok(targets)
}

/// Every server's turns, one after the other in each round; who begins changes from round to round.
fn measure(
    arguments: &Arguments,
    targets: &[Target],
    streams: usize,
    mix: Mix,
) -> anyhow::Result<Vec<Row>> {
    let plan = &arguments.plan;
    let mut turns: Vec<Vec<Turn>> = targets.iter().map(|_| Vec::new()).collect();
    for round in 0..arguments.warm_up + arguments.rounds {
        for place in 0..targets.len() {
            let index = (round + place) % targets.len();
            let target = &targets[index];
            let Some(requests) = plan.requests(target, streams, mix, round)? else { continue };
            let others = targets.iter().filter(|other| other.name != target.name);
            let _paused = Paused::new(others.filter_map(|other| other.process))?;
            let turn = turn::take(target, &requests)
                .with_context(|| format!("{}, {streams} streams, {mix}", target.name))?;
            if round >= arguments.warm_up {
                turns[index].push(turn);
            }
        }
    }
    let row = |(target, turns): (&Target, Vec<Turn>)| Row::new(target, streams, mix, &turns);
    Ok(targets.iter().zip(turns).map(row).collect())
}

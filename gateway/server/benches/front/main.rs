//! What the front costs: HTTP, JSON, events, admission and scoring around an engine that answers
//! at once.
//!
//! `cargo bench -p gateway-server --bench front`
//!
//! The real server is a process of its own, all of whose threads have one core; the client has
//! another (`taskset`, if there is one). A small request is a chat of one turn whose answer has
//! eight tokens. Each case is driven as fast as connections allow, and then at half that rate:
//! requests come at random times then, whether or not the answers before have come, and their
//! latency counts from when they were due.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod client;
mod cpu;
mod server;

use std::time::Duration;

use clap::Parser;

use client::{Client, Outcome, Pace};
use server::Server;

/// Measures the front with a scripted engine.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long each case is driven in each way, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Connections that are kept open.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Serve with this setting too, written key=value; may stand more than once.
    #[arg(long)]
    set: Vec<String>,
    /// Another program that serves as this one does: a former build of this bench.
    #[arg(long)]
    server: Option<std::path::PathBuf>,
    /// Serve with these settings, each as key=value, in place of measuring.
    #[arg(long, num_args = 0.., hide = true)]
    serve: Option<Vec<String>>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is asked, and of a server with which settings.
struct Case {
    name: &'static str,
    stream: bool,
    settings: &'static [&'static str],
}

const CASES: [Case; 6] = [
    Case { name: "whole, defaults", stream: false, settings: &[] },
    Case { name: "whole, no scoring", stream: false, settings: UNSCORED },
    Case { name: "whole, no scoring, no log", stream: false, settings: BARE },
    Case { name: "stream, defaults", stream: true, settings: &[] },
    Case { name: "stream, no scoring", stream: true, settings: UNSCORED },
    Case { name: "stream, no scoring, no log", stream: true, settings: BARE },
];
const UNSCORED: &[&str] = &["moderation.input=off", "moderation.output=off"];
const BARE: &[&str] = &["moderation.input=off", "moderation.output=off", "log.level=error"];

fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    if let Some(settings) = &arguments.serve {
        return server::serve(settings);
    }
    if !arguments.bench {
        // Run as a test: everything works, and nothing is told of speed.
        arguments.seconds = 0.05;
    }
    let pinned = server::pin_to_core(1);
    println!("server and client on a core each: {}", if pinned { "yes" } else { "no" });
    println!(
        "{:<28} {:>10} {:>10} {:>10} {:>10} {:>9} {:>9} {:>9}",
        "", "requests", "CPU", "requests", "half load", "p50", "p99", "max"
    );
    println!(
        "{:<28} {:>10} {:>10} {:>10} {:>10} {:>9} {:>9} {:>9}",
        "", "/ s", "us / req.", "/ CPU s", "/ s", "ms", "ms", "ms"
    );
    for case in CASES.iter().filter(|case| case.name.contains(&arguments.only)) {
        measure(case, &arguments)?;
    }
    Ok(())
}

fn measure(case: &Case, arguments: &Arguments) -> anyhow::Result<()> {
    let program = match &arguments.server {
        Some(program) => program.clone(),
        None => std::env::current_exe()?,
    };
    let set = arguments.set.iter().map(String::as_str);
    let settings: Vec<&str> = case.settings.iter().copied().chain(set).collect();
    let server = Server::start(&program, &settings)?;
    let mut client = Client::connect(server.address, case.stream, arguments.connections)?;
    let duration = Duration::from_secs_f64(arguments.seconds);
    // What is only done once, and what the allocator has to learn.
    client.drive(Pace::Full, duration / 4)?;
    let before = server.cpu()?;
    let full = client.drive(Pace::Full, duration)?;
    let spent = server.cpu()?.since(&before);
    let half = client.drive(Pace::Rate(full.rate() / 2.0), duration)?;
    let cpu = spent.total() / full.count() as f64;
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| milliseconds(&half, share));
    println!(
        "{:<28} {:>10.0} {:>10.1} {:>10.0} {:>10.0} {p50:>9.3} {p99:>9.3} {max:>9.3}",
        case.name,
        full.rate(),
        cpu * 1e6,
        1.0 / cpu,
        half.rate(),
    );
    println!("    CPU us / req. by thread: {}", spent.by_thread(full.count()));
    Ok(())
}

fn milliseconds(outcome: &Outcome, share: f64) -> f64 {
    outcome.latency(share).as_secs_f64() * 1e3
}

//! Ten thousand idle connections and a hundred readers that hardly read, and what others notice.
//!
//! `cargo build --release -p gateway-server && cargo run --release -p acceptance --bin connections`
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use acceptance::gateway::{Process, sibling, tiny_adapters, tiny_model};
use acceptance::http::Ask;
use anyhow::{Context as _, ensure};
use clap::Parser;
use serde_json::json;

/// From one byte that slow readers take to the next.
const SLOWLY: Duration = Duration::from_millis(200);

/// Opens many connections to a gateway and measures what other requests notice.
#[derive(Debug, Parser)]
struct Arguments {
    /// The gateway's program; the one beside this program if not given.
    #[arg(long)]
    gateway: Option<PathBuf>,
    /// Connections that say nothing.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Streams that are read byte by byte.
    #[arg(long, default_value_t = 100)]
    slow: usize,
    /// Requests that are measured, each time.
    #[arg(long, default_value_t = 500)]
    requests: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // A connection with a request takes two of the gateway's.
    raise_limit(arguments.idle + 2 * arguments.slow)?;
    let program = arguments.gateway.map_or_else(sibling, Ok)?;
    let home = tempfile::tempdir()?;
    let text = |path: &std::path::Path| path.to_str().map(str::to_owned).context("UTF-8");
    let paths = [text(tiny_model())?, text(tiny_adapters())?, text(home.path())?];
    let [model, adapters, home] = &paths;
    let options = [["--model", model], ["--adapters", adapters], ["--home", home]];
    let gateway = Process::start(&program, &options.concat())?;
    measure("before", &gateway, arguments.requests)?;
    let idle = connect(gateway.address, arguments.idle)?;
    measure(&format!("{} idle", idle.len()), &gateway, arguments.requests)?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| read_slowly(gateway.address, arguments.slow, &over));
        std::thread::sleep(Duration::from_secs(3));
        let what = format!("{} idle, {} slow", idle.len(), arguments.slow);
        let measured = measure(&what, &gateway, arguments.requests);
        over.store(true, Ordering::Relaxed);
        let read = slow.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a panic")))?;
        println!("slow readers took {read} bytes");
        measured
    })?;
    drop(idle);
    measure("after", &gateway, arguments.requests)?;
    gateway.stop()
}

/// As many descriptors as connections need.
#[cfg(target_os = "linux")]
fn raise_limit(descriptors: usize) -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let needed = descriptors as u64 + 300;
    let enough = limit.maximum.is_none_or(|maximum| maximum >= needed);
    ensure!(enough, "the hard limit of open files is below the {needed} that the gateway needs");
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn raise_limit(_: usize) -> anyhow::Result<()> {
    anyhow::bail!("only on Linux")
}

fn connect(server: SocketAddr, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    (0..count)
        .map(|number| TcpStream::connect(server).context(format!("connection {number}")))
        .collect()
}

/// Begins long streams, and takes a byte of each now and then.
fn read_slowly(server: SocketAddr, count: usize, over: &AtomicBool) -> anyhow::Result<usize> {
    let body = json!({"model": "tiny-llama", "prompt": "a", "stream": true, "n": 16,
        "ignore_eos": true, "max_tokens": 200, "logprobs": 5});
    let body = body.to_string();
    let path = "/v1/completions";
    let ask = Ask { method: "POST", path, secret: None, id: "slow", body: &body };
    let mut streams = Vec::new();
    for _ in 0..count {
        let stream = ask.send(server)?;
        stream.set_read_timeout(Some(Duration::from_millis(1)))?;
        streams.push(stream);
    }
    let (mut read, mut byte) = (0, [0]);
    while !over.load(Ordering::Relaxed) {
        // Nothing may have come yet.
        read += streams.iter_mut().filter_map(|stream| stream.read(&mut byte).ok()).sum::<usize>();
        std::thread::sleep(SLOWLY);
    }
    Ok(read)
}

/// How long a chat of one token takes, and how much memory the gateway has.
fn measure(what: &str, gateway: &Process, requests: usize) -> anyhow::Result<()> {
    let body = json!({"model": "tiny-llama", "max_tokens": 1,
        "messages": [{"role": "user", "content": "hi"}]});
    let (body, path) = (body.to_string(), "/v1/chat/completions");
    let ask = Ask { method: "POST", path, secret: None, id: "measured", body: &body };
    let mut millis = Vec::new();
    for _ in 0..requests {
        let start = Instant::now();
        ask.json(gateway.address).with_context(|| format!("with {what}"))?;
        millis.push(start.elapsed().as_secs_f64() * 1e3);
    }
    millis.sort_by(f64::total_cmp);
    let at = |hundredths: usize| millis.get(millis.len() * hundredths / 100).copied();
    let (p50, p99) = (at(50).unwrap_or_default(), at(99).unwrap_or_default());
    let memory = gateway.resident_bytes()? >> 20;
    println!("{what}: p50 {p50:.1} ms, p99 {p99:.1} ms, {memory} MiB");
    Ok(())
}

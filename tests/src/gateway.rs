//! The real program, as a process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::http::Ask;

/// The longest time that a start may take.
const START: Duration = Duration::from_secs(60);

/// A gateway that was started, and is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Of the API.
    pub address: SocketAddr,
    /// Of metrics and probes.
    pub ops_address: SocketAddr,
}

/// The tiny model of the tests.
#[must_use]
pub fn tiny_model() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/tiny-llama"))
}

/// The program beside this one.
///
/// # Errors
/// If nobody knows where this one is.
pub fn sibling() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("lethe-gateway"))
}

/// The adapters for it.
#[must_use]
pub fn tiny_adapters() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/adapters"))
}

impl Process {
    /// Starts `program` on ports of the system's choice with more `arguments`, and waits until it
    /// is ready.
    ///
    /// # Errors
    /// If it ends before, with what it said.
    pub fn start(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let ports = ["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"];
        Self::start_command(Command::new(program).args(ports).args(arguments))
    }

    /// The same with a command that has its ports.
    ///
    /// # Errors
    /// If it ends before, with what it said.
    pub fn start_command(command: &mut Command) -> anyhow::Result<Self> {
        let command = command.args(["--log-format", "json"]).stderr(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).spawn().context("it does not start")?;
        let mut log = BufReader::new(child.stderr.take().context("no log")?);
        let (mut said, mut line) = (String::new(), String::new());
        let listening = loop {
            line.clear();
            if log.read_line(&mut line)? == 0 {
                let status = child.wait()?;
                bail!("it ended with {status}: {said}");
            }
            said += &line;
            let value: Value = serde_json::from_str(&line).unwrap_or_default();
            if value["message"] == "listening" {
                break value;
            }
        };
        let at = |key: &str| -> anyhow::Result<SocketAddr> {
            Ok(listening[key].as_str().context("no address")?.parse()?)
        };
        let (address, ops_address) = (at("listen")?, at("ops_listen")?);
        // A pipe that nobody reads would fill up.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let mut process = Self { child, address, ops_address };
        process.wait_until_ready()?;
        Ok(process)
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        while !is_ready(self.ops_address) {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status} before it was ready");
            }
            anyhow::ensure!(start.elapsed() < START, "it is not ready after {START:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How much memory it has in hand.
    ///
    /// # Errors
    /// If it is gone, or this is no Linux.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = kilobytes.and_then(|rest| rest.trim().strip_suffix("kB"));
        Ok(kilobytes.context("no VmRSS")?.trim().parse::<u64>()? * 1_024)
    }

    /// Sends `SIGTERM`, and waits for a good end.
    ///
    /// # Errors
    /// If it ends badly.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.terminate()?;
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "it ended with {status}");
        Ok(())
    }

    /// Sends `SIGTERM`.
    ///
    /// # Errors
    /// If it is gone.
    pub fn terminate(&self) -> anyhow::Result<()> {
        let sent = Command::new("kill").args(["-TERM", &self.id().to_string()]).status()?;
        anyhow::ensure!(sent.success(), "it cannot be told to end");
        Ok(())
    }

    /// Sends `SIGKILL`.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended hears neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the operations listener at `server` says that requests may come.
#[must_use]
pub fn is_ready(server: SocketAddr) -> bool {
    Ask::get("/readyz").answer(server).is_ok_and(|(status, _)| status == 200)
}

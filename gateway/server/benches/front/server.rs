//! The real server with a scripted engine, as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use adapters::{BaseModel, Catalogue, CatalogueSettings, Limits};
use anyhow::Context as _;
use gateway_engine::scripted::{Script, ScriptedEngine};
use gateway_server::settings::{Layers, Presets, Settings};
use gateway_server::shutdown::Ending;
use gateway_server::startup::Bound;
use gateway_server::{Loaded, telemetry};
use gateway_toxicity::FastScorer;
use model::{Config, ServedPrecision};

use crate::client::{MODEL, TOKENS};
use crate::cpu::Cpu;

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts `program` with these settings, each `key=value`, and waits until it serves.
    pub(crate) fn start(program: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        let mut command = pinned_command(program);
        command.arg("--serve").args(settings);
        // The log is written, and goes nowhere.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("the server cannot be started")?;
        let said = child.stdout.take().context("a piped output")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        let address = line.trim().parse();
        let server = Self { child, address: address.context("the server has failed")? };
        wait_until_it_serves(server.address)?;
        Ok(server)
    }

    /// What its threads have taken so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Cpu> {
        Cpu::of(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have failed by itself.
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// Keeps this thread, and those that it starts from now on, on core `core`; whether that worked.
pub(crate) fn pin_to_core(core: usize) -> bool {
    let id = std::process::id().to_string();
    let mut command = Command::new("taskset");
    command.args(["-cp", &core.to_string(), &id]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// `program` on the first core, if there is a way to say so.
fn pinned_command(program: &Path) -> Command {
    let known = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
    if known.is_err() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

fn wait_until_it_serves(address: SocketAddr) -> anyhow::Result<()> {
    use std::io::{Read as _, Write as _};

    loop {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        if reply.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        std::thread::yield_now();
    }
}

/// Serves with these settings, each `key=value`, after telling the address; does not come back.
pub(crate) fn serve(settings: &[String]) -> anyhow::Result<()> {
    let settings = build_settings(settings)?;
    telemetry::start(&settings.log)?;
    let folder = tempfile::tempdir()?;
    let loaded = load(folder.path())?;
    actix_web::rt::System::new().block_on(async move {
        // Kept, so that nothing ends the server.
        let (_signal, ending) = Ending::on_demand(settings.shutdown);
        let bound = Bound::new(&settings)?;
        println!("{}", bound.address());
        bound.run(move || Ok(loaded), ending).await
    })
}

fn build_settings(settings: &[String]) -> anyhow::Result<Settings> {
    let ports = ["listen=127.0.0.1:0".to_owned(), "ops_listen=127.0.0.1:0".to_owned()];
    let pairs = ports.iter().chain(settings).map(|pair| {
        let (key, value) = pair.split_once('=').context("a setting is key=value")?;
        let known = gateway_server::settings::KEYS.iter().find(|known| known.name == key);
        Ok((known.context("no such setting")?.name, value.to_owned()))
    });
    let flags = pairs.collect::<anyhow::Result<_>>()?;
    Ok(Settings::build(Layers { flags, ..Layers::default() })?)
}

/// An engine that answers at once, and the scorer of every gateway.
fn load(folder: &Path) -> anyhow::Result<Loaded> {
    let script = Script { reply: Some("A nurse.".repeat(TOKENS)), ..Script::default() };
    let base = BaseModel {
        name: MODEL.to_owned(),
        fingerprint: format!("sha256:{}", "0".repeat(64)),
        config: config(),
        precision: ServedPrecision::Auto,
    };
    let settings =
        CatalogueSettings { root: folder.to_owned(), state: None, limits: Limits::default() };
    Ok(Loaded {
        engine: Arc::new(ScriptedEngine::new(MODEL, script)),
        catalogue: Arc::new(Catalogue::open(settings, base)?),
        presets: Presets::new(),
        scorer: Arc::new(FastScorer::embedded()?),
    })
}

/// Any shape will do: there are no adapters that it would have to fit.
fn config() -> Config {
    Config {
        hidden: 8,
        intermediate: 16,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_dim: 4,
        vocabulary: 259,
        context_tokens: 2_048,
        rope_theta: 10_000.0,
        norm_epsilon: 1e-5,
    }
}

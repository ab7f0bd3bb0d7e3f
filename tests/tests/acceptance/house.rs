//! A gateway of its own for each test, with the adapters `one`, `two` and `three` loaded.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use gateway_server::settings::{Layers, Settings};
use gateway_server::{Gateway, Phase, local};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::client::{Incoming, Reply, TIMEOUT, send};
use crate::hosting::run;

/// The served model.
pub(crate) const MODEL: &str = "tiny-llama";

/// A running gateway.
pub(crate) struct House {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) address: SocketAddr,
    pub(crate) ops_address: SocketAddr,
    ending: mpsc::Sender<()>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
    folder: TempDir,
}

impl House {
    pub(crate) fn open() -> Self {
        Self::with_settings(&[])
    }

    /// The same with some settings.
    pub(crate) fn with_settings(flags: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let adapters = folder.path().join("adapters");
        for name in ["one", "two", "three"] {
            copy_folder(&fixtures().join("adapters").join(name), &adapters.join(name));
        }
        let settings = settings(folder.path(), flags);
        let loading = settings.clone();
        let running = run(settings, move || local::load(&loading));
        let house = Self {
            gateway: running.gateway,
            address: running.addresses.0,
            ops_address: running.addresses.1,
            ending: running.ending,
            thread: Some(running.thread),
            folder,
        };
        house.wait_until("the model is loaded", || house.gateway.phase() != Phase::Starting);
        house
    }

    /// The folder that adapters are loaded from.
    pub(crate) fn adapters(&self) -> PathBuf {
        self.folder.path().join("adapters")
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Reply {
        self.begin(path, body).finish()
    }

    /// Sends a request, and leaves the body of the answer on its way.
    pub(crate) fn begin(&self, path: &str, body: Value) -> Incoming {
        let headers = [("content-type", "application/json")];
        send(self.address, "POST", path, &headers, body.to_string().as_bytes())
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        send(self.address, "GET", path, &[], b"").finish()
    }

    /// The answers to a chat with `fields`, with the log-probabilities of every token.
    pub(crate) fn choices(&self, fields: Value) -> Value {
        let reply = self.post("/v1/chat/completions", chat(fields));
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(reply.header("x-lethe-adapters").is_some());
        reply.json()["choices"].clone()
    }

    /// Loads, or swaps, the adapter in folder `source` as `name`.
    pub(crate) fn load(&self, name: &str, source: &str) -> Reply {
        self.post("/v1/adapters", json!({"name": name, "source": source}))
    }

    pub(crate) fn unload(&self, name: &str) {
        let path = format!("/v1/adapters/{name}");
        let reply = send(self.address, "DELETE", &path, &[], b"").finish();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    /// A page of the operations listener.
    pub(crate) fn ops(&self, path: &str) -> Reply {
        send(self.ops_address, "GET", path, &[], b"").finish()
    }

    /// The value of a metric without labels, or of one line with them.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = self.ops("/metrics");
        let line = page.text().lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Waits for something that is about to be true.
    pub(crate) fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let start = std::time::Instant::now();
        while !condition() {
            let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            assert!(!ended, "the gateway has ended before {what}");
            assert!(start.elapsed() < TIMEOUT, "{what}: not within {TIMEOUT:?}");
            std::thread::yield_now();
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // Two signals: at once. A gateway that has ended hears neither.
        let _ = (self.ending.try_send(()), self.ending.try_send(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A chat with a prompt of several cache blocks and `fields` on top.
pub(crate) fn chat(fields: Value) -> Value {
    let text = "What is true of everybody? ".repeat(8);
    let mut body = json!({
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 24,
        "temperature": 0,
        "logprobs": true,
        "top_logprobs": 3,
    });
    body.as_object_mut().expect("an object").extend(fields.as_object().cloned().expect("fields"));
    body
}

fn settings(folder: &Path, flags: &[(&'static str, &str)]) -> Settings {
    let text = |path: PathBuf| path.to_str().expect("UTF-8").to_owned();
    let more = flags.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let mut flags = vec![
        ("listen", "127.0.0.1:0".to_owned()),
        ("ops_listen", "127.0.0.1:0".to_owned()),
        ("model", text(fixtures().join(MODEL))),
        ("adapters", text(folder.join("adapters"))),
        ("home", text(folder.join("home"))),
        ("engine.kv_bytes", (16 << 20).to_string()),
    ];
    flags.extend(more);
    Settings::build(Layers { flags, ..Layers::default() }).expect("good settings")
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

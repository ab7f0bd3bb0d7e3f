//! A gateway of its own for each test, on ports of its own, with adapters made from seeds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use adapters::lora::{Lora, LowRank};
use adapters::{AdapterName, BaseModel, Catalogue, CatalogueSettings, Expected, Limits};
use gateway_engine::scripted::{Script, ScriptedEngine};
use gateway_server::settings::{Layers, Presets, Settings};
use gateway_server::{Gateway, Loaded};
use gateway_toxicity::scripted::ScriptedScorer;
use gateway_wire::Selection;
use model::{Config, Projection, ServedPrecision, Site};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::client::{Incoming, Reply, TIMEOUT, send};
use crate::hosting::run;

/// The served model.
pub(crate) const MODEL: &str = "tiny";

/// A running gateway. Adapters `gender` (rank 2) and `race` (rank 3) are loaded; the folder
/// `other` can be.
pub(crate) struct House {
    pub(crate) engine: Arc<ScriptedEngine>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) scorer: Arc<ScriptedScorer>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) address: SocketAddr,
    pub(crate) ops_address: SocketAddr,
    ending: mpsc::Sender<()>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
    pub(crate) folder: TempDir,
}

impl House {
    /// A gateway whose engine does as `script` says.
    pub(crate) fn open(script: Script) -> Self {
        Self::with_settings(script, &[])
    }

    /// The same with some settings.
    pub(crate) fn with_settings(script: Script, flags: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = Arc::new(ScriptedEngine::new(MODEL, script));
        let catalogue = Arc::new(open_catalogue(folder.path()));
        for name in ["gender", "race"] {
            let name = AdapterName::parse(name).expect("a name");
            catalogue.load(&name, name.as_str(), Expected::Absent).expect("loaded");
        }
        let scorer = Arc::new(ScriptedScorer::default());
        let loaded = Loaded {
            engine: Arc::clone(&engine) as _,
            catalogue: Arc::clone(&catalogue),
            presets: shipped_presets(),
            scorer: Arc::clone(&scorer) as _,
        };
        let running = run(settings(flags), move || Ok(loaded));
        while running.gateway.phase() == gateway_server::Phase::Starting {
            std::thread::yield_now();
        }
        Self {
            engine,
            catalogue,
            scorer,
            gateway: running.gateway,
            address: running.addresses.0,
            ops_address: running.addresses.1,
            ending: running.ending,
            thread: Some(running.thread),
            folder,
        }
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        send(self.address, "GET", path, &[], b"").finish()
    }

    pub(crate) fn ops(&self, path: &str) -> Reply {
        send(self.ops_address, "GET", path, &[], b"").finish()
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Reply {
        self.begin(path, body, &[]).finish()
    }

    /// Sends a request, and leaves the body of the answer on its way.
    pub(crate) fn begin(&self, path: &str, body: Value, headers: &[(&str, &str)]) -> Incoming {
        let headers = [&[("content-type", "application/json")], headers].concat();
        send(self.address, "POST", path, &headers, body.to_string().as_bytes())
    }

    /// A chat of one turn with `fields` on top.
    pub(crate) fn chat(&self, fields: Value) -> Reply {
        self.post("/v1/chat/completions", chat(fields))
    }

    /// A signal to end.
    pub(crate) fn signal(&self) {
        self.ending.blocking_send(()).expect("the gateway runs");
    }

    /// Ends the gateway, and waits for it.
    pub(crate) fn stop(mut self) {
        self.signal();
        self.signal();
        self.thread.take().expect("running").join().expect("no panic").expect("a good end");
    }

    /// Waits for the end of the program.
    pub(crate) fn wait(mut self) -> anyhow::Result<()> {
        self.thread.take().expect("running").join().expect("no panic")
    }

    /// Waits until so many jobs run and so many have been cancelled.
    pub(crate) fn wait_for(&self, running: usize, cancelled: u64) {
        assert!(self.engine.wait_for(running, cancelled, TIMEOUT), "{:?}", self.engine);
    }
}

impl House {
    /// Waits until no request has a place: the last thing that a request gives back.
    pub(crate) fn wait_until_empty(&self) {
        while self.gateway.admitted() > 0 {
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

/// Settings for tests: any port, one preset, and `flags`.
pub(crate) fn settings(flags: &[(&'static str, &str)]) -> Settings {
    let mut layers = Layers {
        file: Some("[presets.balanced]\ngender = 0.5\nrace = 1\n".to_owned()),
        ..Layers::default()
    };
    let ports = [("listen", "127.0.0.1:0"), ("ops_listen", "127.0.0.1:0")];
    let flags = ports.iter().chain(flags);
    layers.flags = flags.map(|(name, value)| (*name, (*value).to_owned())).collect();
    Settings::build(layers).expect("good settings")
}

/// One preset that the settings replace, and one that they do not know.
fn shipped_presets() -> Presets {
    let of = |scale| Selection::from_named([("race", scale)]).expect("a selection");
    [("balanced", of(0.25)), ("gentle", of(0.5))].map(|(name, set)| (name.to_owned(), set)).into()
}

/// A chat of one turn with `fields` on top.
pub(crate) fn chat(fields: Value) -> Value {
    let mut body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().expect("an object").extend(fields.as_object().cloned().expect("fields"));
    body
}

fn open_catalogue(folder: &Path) -> Catalogue {
    let root = folder.join("adapters");
    for (seed, name) in [(2, "gender"), (3, "race"), (4, "other")] {
        adapter(seed).save(&root.join(name), &config()).expect("saved");
    }
    let base = BaseModel {
        name: MODEL.to_owned(),
        fingerprint: format!("sha256:{}", "0".repeat(64)),
        config: config(),
        precision: ServedPrecision::Auto,
    };
    let state = Some(folder.join("adapters.json"));
    let limits = Limits { adapters: 4, ..Limits::default() };
    let settings = CatalogueSettings { root, state, limits };
    Catalogue::open(settings, base).expect("a catalogue")
}

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

/// An adapter at one site; its seed is its rank.
fn adapter(seed: u8) -> Lora {
    let site = Site::new(0, Projection::Query);
    let rank = usize::from(seed);
    let values = |count: usize| (0..count).map(|i| (i % 7) as f32 / f32::from(seed)).collect();
    let low_rank = LowRank { rank, scaling: 1.0, a: values(rank * 8), b: values(8 * rank) };
    Lora { sites: BTreeMap::from([(site, low_rank)]) }
}

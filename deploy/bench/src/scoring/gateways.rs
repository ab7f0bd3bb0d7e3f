//! Two gateways in front of one engine.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};

use adapters::Catalogue;
use anyhow::Context;
use gateway_engine::Engine;
use gateway_server::Loaded;
use gateway_server::settings::{Layers, Presets, Settings};
use gateway_server::shutdown::Ending;
use gateway_server::startup::Bound;
use gateway_server::{Phase, local};
use gateway_toxicity::Scorer;

/// Whether a gateway scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scoring {
    On,
    Off,
}

/// What the gateways share.
pub(crate) struct Parts {
    engine: Arc<dyn Engine>,
    catalogue: Arc<Catalogue>,
    scorer: Arc<dyn Scorer>,
}

/// A running gateway; it runs until the program ends.
pub(crate) struct Gateway {
    address: SocketAddr,
}

/// Loads the model and the scorer.
pub(crate) fn load(model: &str, home: &Path) -> anyhow::Result<Parts> {
    let home = home.to_str().context("the home folder's name is not UTF-8")?;
    let settings = settings(&[("model", model), ("home", home)])?;
    // The requests choose no adapters, so that there is no use for presets.
    let Loaded { engine, catalogue, scorer, .. } = local::load(&settings)?;
    Ok(Parts { engine, catalogue, scorer })
}

impl Parts {
    pub(crate) fn model(&self) -> String {
        self.engine.model().name.clone()
    }

    pub(crate) fn version(&self) -> String {
        self.scorer.version().to_owned()
    }

    fn loaded(&self) -> Loaded {
        Loaded {
            engine: Arc::clone(&self.engine),
            catalogue: Arc::clone(&self.catalogue),
            presets: Presets::new(),
            scorer: Arc::clone(&self.scorer),
        }
    }
}

impl Gateway {
    /// Starts a gateway on ports of its own.
    pub(crate) fn start(parts: &Parts, scoring: Scoring) -> anyhow::Result<Self> {
        let mode = if scoring == Scoring::On { "score" } else { "off" };
        let settings = settings(&[("moderation.input", mode), ("moderation.output", mode)])?;
        let loaded = parts.loaded();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                // Kept, so that nothing ends the gateway.
                let (_signal, ending) = Ending::on_demand(settings.shutdown);
                let bound = Bound::new(&settings)?;
                sender.send((bound.gateway(), bound.address()))?;
                bound.run(move || Ok(loaded), ending).await
            })
        });
        let (gateway, address) = receiver.recv().context("no gateway")?;
        while gateway.phase() < Phase::Ready {
            std::thread::yield_now();
        }
        Ok(Self { address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn settings(flags: &[(&'static str, &str)]) -> anyhow::Result<Settings> {
    let ports = [("listen", "127.0.0.1:0"), ("ops_listen", "127.0.0.1:0")];
    let flags = ports.iter().chain(flags).map(|(name, value)| (*name, (*value).to_owned()));
    Ok(Settings::build(Layers { flags: flags.collect(), ..Layers::default() })?)
}

//! From settings to two listening servers.
//!
//! The ports are bound first, so that probes answer while the model loads.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, PayloadConfig};
use actix_web::{App, HttpServer};
use anyhow::Context as _;
use prometheus::Registry;
use tokio::sync::oneshot;

use crate::cors;
use crate::disconnect::keep_socket;
use crate::gateway::{Gateway, Loaded};
use crate::keys::{self, Guard};
use crate::observe::{observe, observe_refusals};
use crate::routes;
use crate::settings::Settings;
use crate::shutdown::{self, Close, Ending};
use crate::tls::Certificates;
use crate::watch::Watching;

/// Both servers, bound and not yet running.
pub struct Bound {
    gateway: Data<Gateway>,
    api: Server,
    ops: Server,
    address: SocketAddr,
    ops_address: SocketAddr,
    _watching: Vec<Watching>,
}

impl Bound {
    /// Binds both addresses.
    ///
    /// # Errors
    /// If one of them cannot be bound, or keys, certificates or the audit log cannot be used.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let guard = Guard::load(&settings.keys, settings.policy.bounds)?;
        let gateway = Data::new(Gateway::new(settings, guard, Registry::new())?);
        let certificates = Certificates::load(&settings.tls)?;
        let ops_certificates = Certificates::load(&settings.ops_tls)?;
        let (api, address) = bind_api(settings, &gateway, certificates.as_ref())?;
        let (ops, ops_address) = bind_ops(settings, &gateway, ops_certificates.as_ref())?;
        let mut watching: Vec<_> = keys::watch(&gateway, &settings.keys)?.into_iter().collect();
        for certificates in certificates.into_iter().chain(ops_certificates) {
            watching.push(certificates.watch()?);
        }
        Ok(Self { gateway, api, ops, address, ops_address, _watching: watching })
    }

    /// Where the API listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics and probes are.
    #[must_use]
    pub const fn ops_address(&self) -> SocketAddr {
        self.ops_address
    }

    /// What the servers share.
    #[must_use]
    pub fn gateway(&self) -> Arc<Gateway> {
        Arc::clone(&self.gateway)
    }

    /// Serves until `ending` says otherwise, with what `load` loads in the background.
    ///
    /// # Errors
    /// If loading or a server fails.
    pub async fn run(
        self,
        load: impl FnOnce() -> anyhow::Result<Loaded> + Send + 'static,
        ending: Ending,
    ) -> anyhow::Result<()> {
        tracing::info!(listen = %self.address, ops_listen = %self.ops_address, "listening");
        let handles = [self.api.handle(), self.ops.handle()];
        let gateway = Arc::clone(&self.gateway);
        let servers = async { tokio::try_join!(self.api, self.ops) };
        let stopped = async {
            let result = tokio::select! {
                biased;
                failure = begin(&gateway, load) => failure.map(|()| Close::AtOnce),
                close = shutdown::graceful(&gateway, ending) => Ok(close),
            };
            for handle in handles {
                handle.stop(matches!(result, Ok(Close::Gently))).await;
            }
            result
        };
        let (served, result) = tokio::join!(servers, stopped);
        gateway.audit.close();
        gateway.tracing.close();
        served.context("a server failed")?;
        result.map(|_| ())
    }
}

/// Loads and begins to serve; comes back only if that fails.
///
/// A thread of its own loads, since the program could not end before the runtime's threads do.
async fn begin(
    gateway: &Gateway,
    load: impl FnOnce() -> anyhow::Result<Loaded> + Send + 'static,
) -> anyhow::Result<()> {
    let (sender, loaded) = oneshot::channel();
    // Nobody receives once the program ends.
    std::thread::Builder::new().name("loader".to_owned()).spawn(move || sender.send(load()))?;
    let loaded = loaded.await.context("loading was given up")??;
    let model = loaded.engine.model().name.clone();
    gateway.serve(loaded)?;
    tracing::info!(model, "ready");
    std::future::pending().await
}

fn bind_api(
    settings: &Settings,
    gateway: &Data<Gateway>,
    certificates: Option<&Arc<Certificates>>,
) -> anyhow::Result<(Server, SocketAddr)> {
    let data = gateway.clone();
    let body_bytes = settings.limits.body_bytes;
    let origins = settings.origins.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(PayloadConfig::new(body_bytes))
            .wrap(from_fn(observe))
            .wrap(cors::layer(&origins))
            .configure(routes::configure)
    })
    // The engine's thread owns the model; one worker is enough to move bytes.
    .workers(1)
    .on_connect(keep_socket)
    .shutdown_timeout(shutdown::CLOSING_SECONDS)
    .disable_signals();
    let bound = match certificates {
        None => server.bind(settings.listen),
        Some(certificates) => server.bind_rustls_0_23(settings.listen, certificates.config()?),
    };
    let server = bound.with_context(|| format!("{} cannot be listened on", settings.listen))?;
    let address = server.addrs().first().copied().context("the API has no address")?;
    Ok((server.run(), address))
}

fn bind_ops(
    settings: &Settings,
    gateway: &Data<Gateway>,
    certificates: Option<&Arc<Certificates>>,
) -> anyhow::Result<(Server, SocketAddr)> {
    let data = gateway.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .wrap(from_fn(observe_refusals))
            .configure(routes::configure_ops)
    })
    .workers(1)
    .shutdown_timeout(shutdown::CLOSING_SECONDS)
    .disable_signals();
    let address = settings.ops_listen;
    let bound = match certificates {
        None => server.bind(address),
        Some(certificates) => server.bind_rustls_0_23(address, certificates.config()?),
    };
    let server = bound.with_context(|| format!("{address} cannot be listened on"))?;
    let address = server.addrs().first().copied().context("operations have no address")?;
    Ok((server.run(), address))
}

//! How the gateway goes down: not ready, then closed, then drained, then over.
//!
//! After the first signal it says that it is not ready but serves on, so that whoever sends
//! requests can look elsewhere first. Then it refuses new requests and lets old ones end. What has
//! not ended by the deadline gets an error event. A second signal skips all that is left.

use std::time::Duration;

use actix_web::rt::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::gateway::{Gateway, Phase};
use crate::settings::ShutdownSettings;

/// How long connections have to take the last bytes.
pub(crate) const CLOSING_SECONDS: u64 = 3;

/// How often it is looked whether requests have ended.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);

/// Who says when it is over, and how much time there is then.
#[derive(Debug)]
pub struct Ending {
    signals: mpsc::Receiver<()>,
    settings: ShutdownSettings,
}

/// Whether connections get the time to take the last bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    Gently,
    AtOnce,
}

impl Ending {
    /// An ending that `SIGTERM` and `SIGINT` bring about.
    ///
    /// # Errors
    /// If signals cannot be listened to.
    pub fn on_signals(settings: ShutdownSettings) -> std::io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (sender, ending) = Self::on_demand(settings);
        actix_web::rt::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if sender.send(()).await.is_err() {
                    return;
                }
            }
        });
        Ok(ending)
    }

    /// An ending that a message to the sender brings about.
    #[must_use]
    pub fn on_demand(settings: ShutdownSettings) -> (mpsc::Sender<()>, Self) {
        let (sender, signals) = mpsc::channel(2);
        (sender, Self { signals, settings })
    }

    /// Waits for a signal; if none can come any more, for ever.
    async fn signal(&mut self) {
        if self.signals.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits for a signal and takes the gateway down to where only connections are left to close.
pub(crate) async fn graceful(gateway: &Gateway, mut ending: Ending) -> Close {
    ending.signal().await;
    tracing::info!(requests = gateway.admitted(), "draining");
    gateway.enter(Phase::Draining);
    let settings = ending.settings;
    tokio::select! {
        biased;
        () = drain(gateway, settings) => Close::Gently,
        () = ending.signal() => Close::AtOnce,
    }
}

async fn drain(gateway: &Gateway, settings: ShutdownSettings) {
    tokio::time::sleep(settings.grace).await;
    gateway.enter(Phase::Closing);
    tokio::select! {
        biased;
        () = idle(gateway) => {}
        () = tokio::time::sleep(settings.drain) => {
            tracing::warn!(requests = gateway.admitted(), "requests are ended by the deadline");
        }
    }
    if let Some(served) = gateway.loaded() {
        served.engine.shut_down();
    }
}

async fn idle(gateway: &Gateway) {
    while gateway.admitted() > 0 {
        tokio::time::sleep(DRAIN_INTERVAL).await;
    }
}

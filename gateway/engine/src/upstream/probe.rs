//! Looks after the servers' health.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::fleet::Fleet;
use super::replica::Replica;

/// How long jobs may take to tell their readers that it is over.
const ENDING: Duration = Duration::from_secs(2);

/// Asks every server how it is, again and again, until the engine goes down; then waits for the
/// jobs that still run to end.
pub(super) async fn watch(fleet: Arc<Fleet>, mut down: watch::Receiver<bool>) {
    let mut probes = JoinSet::new();
    for replica in &fleet.replicas {
        probes.spawn(probe(Arc::clone(&fleet), Arc::clone(replica)));
    }
    // The sender is gone only if the engine is.
    let _ = down.wait_for(|down| *down).await;
    probes.shutdown().await;
    let _ = timeout(ENDING, fleet.jobs.empty()).await;
}

async fn probe(fleet: Arc<Fleet>, replica: Arc<Replica>) {
    let patience = fleet.settings.patience;
    loop {
        let url = replica.server.at(fleet.settings.dialect.health_path());
        let well = fleet.http.look(url, patience.connect.max(patience.probe)).await;
        if replica.set_reachable(well.is_ok()) {
            match well {
                Ok(()) => tracing::info!(server = %replica.server, "an upstream server is back"),
                Err(fault) => {
                    tracing::warn!(server = %replica.server, %fault, "an upstream server is unwell");
                }
            }
        }
        sleep(patience.probe).await;
    }
}

//! Runs a gateway on a thread of this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use gateway_server::Gateway;
use gateway_server::Loaded;
use gateway_server::settings::Settings;
use gateway_server::shutdown::Ending;
use gateway_server::startup::Bound;
use tokio::sync::mpsc;

/// A gateway that was started.
pub(crate) struct Running {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) addresses: (SocketAddr, SocketAddr),
    pub(crate) ending: mpsc::Sender<()>,
    pub(crate) thread: JoinHandle<anyhow::Result<()>>,
}

/// Starts a gateway that loads with `load`.
pub(crate) fn run(
    settings: Settings,
    load: impl FnOnce() -> anyhow::Result<Loaded> + Send + 'static,
) -> Running {
    let (ending, end) = Ending::on_demand(settings.shutdown);
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let bound = Bound::new(&settings)?;
            let addresses = (bound.address(), bound.ops_address());
            sender.send((bound.gateway(), addresses)).expect("the test waits");
            bound.run(load, end).await
        })
    });
    let (gateway, addresses) = receiver.recv().expect("bound");
    Running { gateway, addresses, ending, thread }
}

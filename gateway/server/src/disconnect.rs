//! Notices that a client has hung up while its request is being worked on.
//!
//! actix-web drops a response body only when a write fails, and lets a handler run to its end, so
//! neither a silent stream nor a reply that is not streamed would end. Here a second handle of the
//! connection's socket is watched for its end. A client that closes its sending half counts as
//! gone, as it does for most servers. Under TLS it is the same socket: what a client says last, it
//! says before it closes, and actix-web reads on while a handler runs.

use std::any::Any;
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;

/// How often the socket is looked at while bytes of a next request hide its end.
const PIPELINED_INTERVAL: Duration = Duration::from_millis(200);

/// The client's side of the connection that a request came through.
#[derive(Clone, Default)]
pub(crate) struct Disconnect(Option<Rc<TcpStream>>);

/// Keeps a second handle of every new connection's socket; for `HttpServer::on_connect`.
pub(crate) fn keep_socket(connection: &dyn Any, data: &mut Extensions) {
    let encrypted = connection.downcast_ref::<TlsStream<TcpStream>>();
    let stream = encrypted.map(|stream| stream.get_ref().0).or_else(|| connection.downcast_ref());
    let Some(stream): Option<&TcpStream> = stream else { return };
    // If handles have run out, hang-ups are noticed by failed writes only.
    let handle = stream.as_fd().try_clone_to_owned();
    if let Ok(handle) = handle.and_then(|handle| TcpStream::from_std(handle.into())) {
        data.insert(Disconnect(Some(Rc::new(handle))));
    }
}

impl Disconnect {
    /// The connection of `request`; a request without one, as in tests, is never hung up on.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        request.conn_data::<Self>().cloned().unwrap_or_default()
    }

    /// Resolves when the client is gone.
    ///
    /// # Cancel safety
    /// It can be dropped and called again.
    pub(crate) async fn gone(&self) {
        let Some(stream) = &self.0 else { return std::future::pending().await };
        let mut byte = [0];
        while let Ok(1..) = stream.peek(&mut byte).await {
            tokio::time::sleep(PIPELINED_INTERVAL).await;
        }
    }
}

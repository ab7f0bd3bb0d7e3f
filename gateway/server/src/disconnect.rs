//! Notices that a client has hung up while its request is being worked on.
//!
//! actix-web drops a response body only when a write fails, and lets a handler run to its end, so
//! neither a silent stream nor a reply that is not streamed would end. Here a second handle of the
//! connection's socket is watched for its end, as long as a request is worked on; an idle connection
//! has no second one. A client that closes its sending half counts as gone, as it does for most
//! servers. Under TLS it is the same socket: what a client says last, it says before it closes, and
//! actix-web reads on while a handler runs.

mod socket;

use std::any::Any;
use std::rc::Rc;
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;

use socket::Socket;

/// How often the socket is looked at while bytes of a next request hide its end.
const PIPELINED_INTERVAL: Duration = Duration::from_millis(200);

/// What TLS calls the one protocol that is spoken.
const HTTP: &[u8] = b"http/1.1";

/// The client's side of the connection that a request came through.
#[derive(Clone, Default)]
pub(crate) struct Disconnect(Option<Rc<TcpStream>>);

/// Keeps where a new connection's socket is; for `HttpServer::on_connect`.
pub(crate) fn keep_socket(connection: &dyn Any, data: &mut Extensions) {
    let encrypted = connection.downcast_ref::<TlsStream<TcpStream>>();
    let encrypted = encrypted.map(|stream| stream.get_ref());
    let protocol = encrypted.and_then(|(_, session)| session.alpn_protocol());
    // HTTP/2 is not built in. Its handlers are tasks of their own, and may outlive the socket.
    if protocol.is_some_and(|name| name != HTTP) {
        return;
    }
    let stream = encrypted.map(|(stream, _)| stream).or_else(|| connection.downcast_ref());
    if let Some(stream) = stream {
        data.insert(Socket::of(stream));
    }
}

impl Disconnect {
    /// The connection of `request`, for a handler that starts. A request without one, as in tests,
    /// is never hung up on. If handles have run out, hang-ups are noticed by failed writes only.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let stream = request.conn_data().and_then(|socket: &Socket| socket.open().ok());
        Self(stream.map(Rc::new))
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

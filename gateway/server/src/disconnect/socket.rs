//! The socket of a connection that is another's to close.

use std::marker::PhantomData;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::rc::Rc;

use actix_web::rt::net::TcpStream;

/// Where the socket of a connection is, without a handle of it. It stays on the connection's thread.
#[derive(Debug)]
pub(super) struct Socket {
    descriptor: RawFd,
    _thread: PhantomData<Rc<()>>,
}

impl Socket {
    pub(super) fn of(stream: &TcpStream) -> Self {
        Self { descriptor: stream.as_raw_fd(), _thread: PhantomData }
    }

    /// A handle of the same socket. It may be asked for by what runs inside the future that owns the
    /// connection, and by nothing else: elsewhere the socket may be closed, and its number another's.
    ///
    /// # Errors
    /// If handles have run out.
    #[expect(unsafe_code, reason = "nobody else lends the socket of a connection that is served")]
    pub(super) fn open(&self) -> std::io::Result<TcpStream> {
        // SAFETY: the descriptor is open until the borrow ends, in the next line. Over HTTP/1, for which
        // alone these are made, a handler is a future within the one that owns the connection
        // (actix-http's `h1::Dispatcher`), which polls it while it has the socket. Only
        // `Disconnect::of` calls this, when a handler takes its arguments.
        let socket = unsafe { BorrowedFd::borrow_raw(self.descriptor) };
        TcpStream::from_std(socket.try_clone_to_owned()?.into())
    }
}

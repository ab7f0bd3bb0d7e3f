//! What goes wrong between here and a server.

use std::error::Error as _;
use std::io;

use crate::EngineError;

/// Why a server did not answer a job, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// No connection.
    #[error("the server cannot be reached")]
    Unreachable,
    /// Its certificate is signed by nobody who is trusted, is over, or is another's.
    #[error("the server's certificate is not trusted")]
    Untrusted,
    /// The connection ended before the answer did.
    #[error("the connection was lost")]
    Lost,
    /// Nothing came for too long.
    #[error("the server took too long")]
    TimedOut,
    /// It has too much to do.
    #[error("the server is overloaded")]
    Overloaded,
    /// A status of its own failure.
    #[error("the server failed with status {0}")]
    Failed(u16),
    /// It says that the request is at fault.
    #[error("the server refuses the request with status {0}")]
    Refused(u16),
    /// What it says is not understood.
    #[error("the server's answer is malformed")]
    Garbage,
    /// It does not know the adapter that was placed there, or answers with another.
    #[error("the server lost or mixed up an adapter")]
    Displaced,
    /// The adapter cannot be used there.
    #[error("{0}")]
    Adapter(String),
    /// It does not have the adapter, and none can be placed there.
    #[error("the server was not started with adapter {0}")]
    Missing(String),
    /// Adapters cannot be written to the shared folder.
    #[error("adapters cannot be written for the servers: {0}")]
    Folder(String),
}

/// What follows from a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consequence {
    /// The server is doubted, and another may answer.
    Elsewhere,
    /// The server is well, but another may answer, or itself if it is asked again.
    Busy,
    /// Nobody will answer.
    Never,
}

impl Fault {
    pub(super) const fn consequence(&self) -> Consequence {
        match self {
            Self::Unreachable
            | Self::Untrusted
            | Self::Lost
            | Self::TimedOut
            | Self::Failed(_)
            | Self::Garbage => Consequence::Elsewhere,
            Self::Overloaded | Self::Displaced | Self::Adapter(_) | Self::Missing(_) => {
                Consequence::Busy
            }
            Self::Refused(_) | Self::Folder(_) => Consequence::Never,
        }
    }

    /// The label of metrics.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
            Self::Lost => "lost",
            Self::TimedOut => "timed_out",
            Self::Overloaded => "overloaded",
            Self::Failed(_) => "failed",
            Self::Refused(_) => "refused",
            Self::Garbage => "garbage",
            Self::Displaced => "displaced",
            Self::Adapter(_) => "adapter",
            Self::Missing(_) => "missing",
            Self::Folder(_) => "folder",
        }
    }
}

impl From<Fault> for EngineError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Overloaded | Fault::Unreachable | Fault::Untrusted => {
                Self::Unavailable(fault.to_string())
            }
            Fault::Refused(_) | Fault::Missing(_) => Self::Refused(fault.to_string()),
            Fault::Folder(_) => Self::Internal(fault.to_string()),
            Fault::Lost
            | Fault::TimedOut
            | Fault::Failed(_)
            | Fault::Garbage
            | Fault::Displaced
            | Fault::Adapter(_) => Self::Upstream(fault.to_string()),
        }
    }
}

/// Whether there is no connection because of the server's certificate.
fn is_of_certificate(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // An I/O error does not count what it is made of as its source.
        let inside = error.downcast_ref().and_then(io::Error::get_ref);
        cause = inside.map_or_else(|| error.source(), |inside| Some(inside));
    }
    false
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::TimedOut
        } else if is_of_certificate(&error) {
            Self::Untrusted
        } else if error.is_connect() {
            Self::Unreachable
        } else {
            Self::Lost
        }
    }
}

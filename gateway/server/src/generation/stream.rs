//! Answers as server-sent events, while they are generated.
//!
//! A stream begins with the first piece of an answer, so that what fails before has a status of its
//! own; if that takes long, it begins without one. The stream ends, and with it the jobs, their
//! permit and their leases, when the answers do, when one fails, or when the client goes away. While
//! there is nothing to say, comments are sent.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use gateway_engine::EngineError;
use gateway_wire::sse;

use super::{Closing, Piece, Run};
use crate::call::Call;
use crate::disconnect::Disconnect;
use crate::error::{ApiError, Code};
use crate::gateway::Gateway;
use crate::note::Note;

/// How one of the two APIs writes its events.
pub(crate) trait Frames {
    /// Before any piece.
    fn opening(&mut self, answers: usize) -> Events;
    /// For a piece of answer `index`.
    fn piece(&mut self, index: usize, piece: Piece) -> Events;
    /// After the last piece.
    fn closing(&mut self, closing: Closing) -> Events;
}

/// Events, each with its empty line at the end.
pub(crate) type Events = Result<Vec<u8>, serde_json::Error>;

struct Streaming<F> {
    run: Run,
    /// What came before the stream began.
    first: Option<(usize, Piece)>,
    frames: F,
    client: Disconnect,
    note: Note,
    request_id: String,
    gateway: Arc<Gateway>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opening,
    Running,
    Closed,
}

/// The body of a streamed reply, once there is something to say or `stream.head_seconds` are over.
///
/// # Errors
/// That of a job that fails before; [`Code::ClientGone`] if nobody waits any more.
pub(crate) async fn stream<F: Frames>(
    mut run: Run,
    frames: F,
    call: &Call,
    gateway: &Arc<Gateway>,
) -> Result<impl Stream<Item = Result<Bytes, Infallible>> + use<F>, ApiError> {
    let first = run.first(&call.client, gateway.stream.head).await?;
    let streaming = Streaming {
        run,
        first,
        frames,
        client: call.client.clone(),
        note: call.note().clone(),
        request_id: call.id.as_str().to_owned(),
        gateway: Arc::clone(gateway),
        stage: Stage::Opening,
    };
    Ok(unfold(streaming, |mut streaming| async move {
        let events = streaming.next().await?;
        Some((Ok(Bytes::from(events)), streaming))
    }))
}

impl Run {
    /// Waits for the first piece that may leave, for so long.
    async fn first(
        &mut self,
        client: &Disconnect,
        limit: Duration,
    ) -> Result<Option<(usize, Piece)>, ApiError> {
        tokio::select! {
            biased;
            next = self.next() => Ok(next.transpose()?),
            () = client.gone() => Err(ApiError::new(Code::ClientGone, "the client has hung up")),
            () = tokio::time::sleep(limit) => Ok(None),
        }
    }
}

impl<F: Frames> Streaming<F> {
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let events = match self.stage {
                Stage::Closed => return None,
                Stage::Opening => {
                    self.stage = Stage::Running;
                    let opening = self.frames.opening(self.run.answers());
                    self.written(opening)
                }
                Stage::Running => self.running().await?,
            };
            // A piece may hold nothing that is to be shown.
            if !events.is_empty() {
                return Some(events);
            }
        }
    }

    async fn running(&mut self) -> Option<Vec<u8>> {
        if let Some((index, piece)) = self.first.take() {
            return Some(self.said(index, piece));
        }
        let next = tokio::select! {
            biased;
            next = self.run.next() => next,
            () = self.client.gone() => return None,
            () = tokio::time::sleep(self.gateway.stream.heartbeat) => return Some(sse::KEEP_ALIVE.into()),
        };
        match next {
            Some(Ok((index, piece))) => Some(self.said(index, piece)),
            Some(Err(error)) => Some(self.failed(error)),
            None => {
                self.stage = Stage::Closed;
                let closing = self.frames.closing(self.run.closing());
                Some(self.written(closing.map(|mut events| {
                    events.extend_from_slice(sse::DONE.as_bytes());
                    events
                })))
            }
        }
    }

    fn said(&mut self, index: usize, piece: Piece) -> Vec<u8> {
        let events = self.frames.piece(index, piece);
        self.written(events)
    }

    /// Events, or the error event in their place if they cannot be written.
    fn written(&mut self, events: Events) -> Vec<u8> {
        match events {
            Ok(events) => events,
            Err(error) => self.failed(EngineError::Internal(error.to_string())),
        }
    }

    /// An error in place of the rest: clients raise it, and read no further.
    fn failed(&mut self, error: EngineError) -> Vec<u8> {
        self.stage = Stage::Closed;
        let error = ApiError::from(error);
        self.note.fail(error.code());
        self.gateway.metrics.rejected.with_label_values(&[error.code().slug()]).inc();
        if let Some(cause) = error.cause() {
            tracing::error!(code = error.code().slug(), cause, "a stream failed");
        }
        let mut events = Vec::new();
        // An error body is a few plain texts: it can always be written.
        let _ = sse::append_json(&mut events, &error.body(Some(&self.request_id)));
        events
    }
}

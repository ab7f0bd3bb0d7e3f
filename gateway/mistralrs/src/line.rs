//! The way back from mistral.rs to a job.
//!
//! mistral.rs ends a streamed sequence when its reader is gone, and that is the only way to end one
//! at a time of our choosing. So a [`Line`] is *cut* to end a sequence: from the logits processor,
//! in the very step that draws the last token, or by the job's task when nobody waits any more.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use mistralrs_core::Response;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Chunks that fit the channel. Each step takes out what the step before put in.
const CAPACITY: usize = 16;

/// The reader's end of a sequence in mistral.rs.
#[derive(Debug)]
pub(crate) struct Line {
    responses: Mutex<Option<Receiver<Response>>>,
    cut: Notify,
}

/// How a sequence ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As we wanted.
    Cut,
    /// With an error of mistral.rs.
    Failed(String),
    /// mistral.rs let it go, or its thread is gone.
    Lost,
}

impl Line {
    /// A line, and what mistral.rs sends into.
    pub(crate) fn new() -> (Self, Sender<Response>) {
        let (sender, receiver) = channel(CAPACITY);
        (Self { responses: Mutex::new(Some(receiver)), cut: Notify::new() }, sender)
    }

    /// Ends the sequence with its current or next step.
    pub(crate) fn cut(&self) {
        drop(self.responses().take());
        self.cut.notify_one();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.responses().is_none()
    }

    /// Makes room for the next step's chunk. Its text is of no use: we assemble our own. An error
    /// stays where it is, since no step follows it.
    pub(crate) fn drain(&self) {
        if let Some(responses) = &mut *self.responses() {
            while responses.try_recv().is_ok() {}
        }
    }

    /// Waits for the sequence's end.
    pub(crate) async fn end(&self) -> End {
        let ended = std::future::poll_fn(|context| {
            let mut slot = self.responses();
            let Some(responses) = slot.as_mut() else { return Poll::Ready(End::Cut) };
            loop {
                match std::task::ready!(responses.poll_recv(context)) {
                    None => return Poll::Ready(End::Lost),
                    Some(response) => {
                        if let Some(fault) = fault(response) {
                            return Poll::Ready(End::Failed(fault));
                        }
                    }
                }
            }
        });
        tokio::select! {
            biased;
            () = self.cut.notified() => End::Cut,
            end = ended => end,
        }
    }

    fn responses(&self) -> MutexGuard<'_, Option<Receiver<Response>>> {
        self.responses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error that a response is, if it is one.
fn fault(response: Response) -> Option<String> {
    match response {
        Response::InternalError(error) | Response::ValidationError(error) => {
            Some(error.to_string())
        }
        Response::ModelError(error, _) | Response::CompletionModelError(error, _) => Some(error),
        Response::Done(_)
        | Response::Chunk(_)
        | Response::CompletionDone(_)
        | Response::CompletionChunk(_)
        | Response::ImageGeneration(_)
        | Response::Speech { .. }
        | Response::Raw { .. }
        | Response::Embeddings { .. } => None,
    }
}

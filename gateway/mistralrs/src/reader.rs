//! The reader's end: events become chunks of text.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use gateway_engine::{Answer, Chunk, EngineError, Generation};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::tap::Event;

/// The stream of a job's chunks. What a slow reader has not taken waits in memory: a sequence in
/// mistral.rs cannot pause, and the context bounds how much there can be.
pub(crate) fn generation(events: UnboundedReceiver<Event>, answer: Answer) -> Generation {
    Generation::new(Reader { events, answer, done: false })
}

struct Reader {
    events: UnboundedReceiver<Event>,
    answer: Answer,
    done: bool,
}

impl Stream for Reader {
    type Item = Result<Chunk, EngineError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(None);
        }
        let item = match ready!(this.events.poll_recv(context)) {
            Some(Event::Token(drawn)) => Ok(this.answer.push(drawn)),
            Some(Event::Finished { reason, completion_tokens }) => {
                Ok(this.answer.finish(reason, completion_tokens))
            }
            Some(Event::Failed(error)) => Err(error),
            None => Err(EngineError::Internal("the engine ended".into())),
        };
        if item.as_ref().map_or(true, |chunk| chunk.finish.is_some()) {
            this.done = true;
            this.events.close();
        }
        Poll::Ready(Some(item))
    }
}

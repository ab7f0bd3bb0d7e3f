//! The reader's end: events become chunks of text.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::mpsc::Receiver;

use super::outlet::Event;
use crate::{Answer, Chunk, EngineError, Generation};

/// The stream of a row's chunks.
pub(super) fn generation(events: Receiver<Event>, answer: Answer) -> Generation {
    Generation::new(Reader { events, answer, done: false })
}

struct Reader {
    events: Receiver<Event>,
    answer: Answer,
    done: bool,
}

impl Stream for Reader {
    type Item = Result<Chunk, EngineError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        while !this.done {
            let event = ready!(this.events.poll_recv(context));
            if let Some(item) = this.take(event) {
                if item.as_ref().map_or(true, |chunk| chunk.finish.is_some()) {
                    this.end();
                }
                return Poll::Ready(Some(item));
            }
        }
        Poll::Ready(None)
    }
}

impl Reader {
    fn take(&mut self, event: Option<Event>) -> Option<Result<Chunk, EngineError>> {
        match event {
            Some(Event::Started { cached_tokens, prompt, divergence }) => {
                self.answer.set_cached_tokens(cached_tokens);
                let scored = |all: Vec<_>| all.into_iter().map(|s| self.answer.scored(s)).collect();
                let chunk = Chunk { prompt: prompt.map(scored), divergence, ..Chunk::default() };
                (chunk != Chunk::default()).then_some(Ok(chunk))
            }
            Some(Event::Token(drawn)) => Some(Ok(self.answer.push(drawn))),
            Some(Event::Finished { reason, completion_tokens }) => {
                Some(Ok(self.answer.finish(reason, completion_tokens)))
            }
            Some(Event::Failed(error)) => Some(Err(error)),
            None => Some(Err(EngineError::Internal("the engine's thread ended".into()))),
        }
    }

    /// The row ends when the receiver is closed, if it has not ended by itself.
    fn end(&mut self) {
        self.done = true;
        self.events.close();
    }
}

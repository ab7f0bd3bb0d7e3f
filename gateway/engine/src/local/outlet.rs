//! The way from a row to its reader.
//!
//! The channel is bounded. A reader that is slow fills it; then its row pauses, and the engine
//! never waits for anybody.

use std::collections::VecDeque;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::sampler::Scored;
use crate::{Divergence, Drawn, EngineError, FinishReason};

/// Events that fit the channel: more than a fast reader ever leaves.
const CAPACITY: usize = 32;

/// What a row tells its reader.
#[derive(Debug)]
pub(super) enum Event {
    /// The prompt is computed.
    Started {
        /// Prompt tokens that came from the prefix cache.
        cached_tokens: usize,
        /// The prompt's scores, if they were asked for.
        prompt: Option<Vec<Scored>>,
        /// What the comparison found, if one was asked for.
        divergence: Option<Divergence>,
    },
    /// A token was drawn.
    Token(Drawn),
    /// No more tokens come.
    Finished {
        reason: FinishReason,
        /// Tokens drawn, one that ended the text included.
        completion_tokens: usize,
    },
    /// The row cannot go on.
    Failed(EngineError),
}

/// The row's end of the channel.
#[derive(Debug)]
pub(super) struct Outlet {
    sender: Sender<Event>,
    backlog: VecDeque<Event>,
}

pub(super) fn outlet() -> (Outlet, Receiver<Event>) {
    let (sender, receiver) = channel(CAPACITY);
    (Outlet { sender, backlog: VecDeque::new() }, receiver)
}

impl Outlet {
    /// Sends an event, now or when there is room.
    pub(super) fn push(&mut self, event: Event) {
        self.backlog.push_back(event);
        self.flush();
    }

    /// Sends what waits; whether nothing waits any more.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(event) = self.backlog.pop_front() {
            match self.sender.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.backlog.push_front(event);
                    return false;
                }
                Err(TrySendError::Closed(_)) => self.backlog.clear(),
            }
        }
        true
    }

    /// Whether an event waits for room.
    pub(super) fn is_blocked(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Whether the reader is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

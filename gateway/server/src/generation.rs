//! From an order to running jobs, and from their chunks past moderation to an answer.

mod answer;
mod order;
mod piece;
mod run;
mod slot;
mod stream;
mod tally;

pub(crate) use answer::Answer;
pub(crate) use order::Order;
pub(crate) use piece::Piece;
pub(crate) use run::{Closing, Run};
pub(crate) use stream::{Events, Frames, stream};

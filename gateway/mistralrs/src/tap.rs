//! Where tokens are drawn: a logits processor that hears the logits and says the token.
//!
//! It hands mistral.rs logits of which all but one are 0, and its sampler, at temperature 0, takes
//! that one. So seed, logit bias, penalties, min-p, grammars and natural log-probabilities are those of
//! the local engine.

use std::sync::{Arc, Mutex, PoisonError};

use adapters::AdapterVector;
use gateway_engine::{Drawing, Drawn, EngineError, FinishReason, Permit};
use mistral_candle::{Result as TensorResult, Tensor};
use mistralrs_core::CustomLogitsProcessor;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;

use crate::ledger::Ticket;
use crate::line::Line;
use crate::pool::Lease;
use crate::variant::Merging;

/// What a job tells its reader.
#[derive(Debug)]
pub(crate) enum Event {
    /// A token was drawn.
    Token(Drawn),
    /// No more tokens come.
    Finished {
        reason: FinishReason,
        /// Tokens drawn, one that ended the text included.
        completion_tokens: usize,
    },
    /// The job cannot go on.
    Failed(EngineError),
}

/// What a sequence needs for as long as mistral.rs holds it. Dropped in this order.
#[expect(dead_code, reason = "held to be dropped, never read")]
pub(crate) struct Held {
    pub(crate) place: OwnedSemaphorePermit,
    /// None for the base, which is always there.
    pub(crate) variant: Option<Lease<Merging>>,
    pub(crate) adapters: AdapterVector,
    pub(crate) ticket: Ticket,
    pub(crate) permit: Arc<Permit>,
}

/// A job's logits processor. mistral.rs drops it together with the sequence.
pub(crate) struct Tap {
    row: Mutex<Row>,
    line: Arc<Line>,
    _held: Held,
}

struct Row {
    drawing: Drawing,
    /// Prompt and drawn tokens that the next logits are about.
    context_tokens: usize,
    events: UnboundedSender<Event>,
}

impl Tap {
    pub(crate) fn new(
        drawing: Drawing,
        prompt_tokens: usize,
        events: UnboundedSender<Event>,
        line: Arc<Line>,
        held: Held,
    ) -> Self {
        let row = Row { drawing, context_tokens: prompt_tokens, events };
        Self { row: Mutex::new(row), line, _held: held }
    }
}

impl CustomLogitsProcessor for Tap {
    /// `logits` (vocabulary) are those behind `context`.
    fn apply(&self, logits: &Tensor, context: &[u32]) -> TensorResult<Tensor> {
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        if row.events.is_closed() {
            self.line.cut();
        }
        if self.line.is_cut() {
            // mistral.rs ends the sequence after this step; what it draws has no reader.
            return Ok(logits.clone());
        }
        self.line.drain();
        match row.step(&logits.to_vec1()?, context.len()) {
            Some(token) => says(token, logits),
            None => {
                self.line.cut();
                Ok(logits.clone())
            }
        }
    }
}

impl Row {
    /// Draws, and tells the reader. The token, if the sequence goes on.
    fn step(&mut self, logits: &[f32], context_tokens: usize) -> Option<u32> {
        match self.draw(logits, context_tokens) {
            Ok(token) => token,
            Err(error) => {
                self.tell(Event::Failed(error));
                None
            }
        }
    }

    fn draw(&mut self, logits: &[f32], context_tokens: usize) -> Result<Option<u32>, EngineError> {
        if context_tokens != self.context_tokens {
            return Err(EngineError::Internal("the sequence lost its place".into()));
        }
        let draw = self.drawing.draw(logits, &[])?;
        let token = draw.token.as_ref().map(Drawn::id);
        draw.token.into_iter().for_each(|drawn| self.tell(Event::Token(drawn)));
        self.context_tokens += 1;
        let Some(reason) = draw.finish else { return Ok(token) };
        self.tell(Event::Finished { reason, completion_tokens: self.drawing.drawn() });
        Ok(None)
    }

    /// A reader that is gone hears nothing, and the next step sees it.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

/// Logits (vocabulary) of which `token` has the largest.
fn says(token: u32, like: &Tensor) -> TensorResult<Tensor> {
    let mut logits = vec![0_f32; like.elem_count()];
    if let Some(logit) = logits.get_mut(token as usize) {
        *logit = 1.0;
    }
    Tensor::from_vec(logits, like.shape(), like.device())
}

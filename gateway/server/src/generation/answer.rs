//! Whole answers, for replies that are not streamed.

use gateway_engine::{EngineError, ScoredToken};
use gateway_wire::FinishReason;

use super::{Piece, Run};
use crate::disconnect::Disconnect;
use crate::error::{ApiError, Code};

/// One answer, put together.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) tokens: Vec<ScoredToken>,
    /// The prompt's tokens, if they were asked for.
    pub(crate) prompt: Option<Vec<ScoredToken>>,
    pub(crate) finish: Option<FinishReason>,
}

impl Run {
    /// Waits for all answers, unless the client goes away before.
    ///
    /// # Errors
    /// That of the first job that fails; [`Code::ClientGone`] if nobody waits any more.
    pub(crate) async fn collect(&mut self, client: &Disconnect) -> Result<Vec<Answer>, ApiError> {
        tokio::select! {
            biased;
            answers = self.all() => Ok(answers?),
            () = client.gone() => Err(ApiError::new(Code::ClientGone, "the client has hung up")),
        }
    }

    async fn all(&mut self) -> Result<Vec<Answer>, EngineError> {
        let mut answers: Vec<_> = (0..self.answers()).map(|_| Answer::default()).collect();
        while let Some(next) = self.next().await {
            let (index, piece) = next?;
            answers[index].add(piece);
        }
        Ok(answers)
    }
}

impl Answer {
    fn add(&mut self, piece: Piece) {
        self.text.push_str(&piece.text);
        self.tokens.extend(piece.tokens);
        self.prompt = self.prompt.take().or(piece.prompt);
        self.finish = piece.finish;
    }
}

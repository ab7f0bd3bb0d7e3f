//! `min_tokens` and `ignore_eos`: when the text may not end.

use super::LogitsRule;
use crate::EngineError;

/// Forbids the tokens that end a text while it is too short.
pub(crate) struct Minimum {
    /// How many more tokens are due.
    pub(crate) due: usize,
    /// The tokens that end a text.
    pub(crate) ends: Vec<u32>,
}

impl LogitsRule for Minimum {
    fn apply(&mut self, logits: &mut [f32], _: &[&[f32]]) -> Result<(), EngineError> {
        if self.due > 0 {
            for end in &self.ends {
                if let Some(logit) = logits.get_mut(*end as usize) {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self, _: u32) -> Result<(), EngineError> {
        self.due = self.due.saturating_sub(1);
        Ok(())
    }
}

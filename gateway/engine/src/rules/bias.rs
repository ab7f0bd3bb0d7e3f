//! `logit_bias`.

use super::LogitsRule;
use crate::EngineError;

/// Adds fixed amounts to some logits.
pub(crate) struct Bias(pub(crate) Vec<(u32, f32)>);

impl LogitsRule for Bias {
    fn apply(&mut self, logits: &mut [f32], _: &[&[f32]]) -> Result<(), EngineError> {
        for (token, bias) in &self.0 {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit += bias;
            }
        }
        Ok(())
    }

    fn accept(&mut self, _: u32) -> Result<(), EngineError> {
        Ok(())
    }
}

//! Penalties for tokens that were there already.

use std::collections::{HashMap, HashSet};

use super::LogitsRule;
use crate::{EngineError, Sampling};

/// Repetition (prompt and output), presence and frequency (output) penalties.
pub(crate) struct Penalties {
    repetition: f32,
    presence: f32,
    frequency: f32,
    prompt: HashSet<u32>,
    output: HashMap<u32, u32>,
}

impl Penalties {
    /// The penalties of `sampling`, if it has any.
    pub(crate) fn new(sampling: &Sampling, prompt: &[u32]) -> Option<Self> {
        let penalties = Self {
            repetition: sampling.repetition_penalty,
            presence: sampling.presence_penalty,
            frequency: sampling.frequency_penalty,
            prompt: prompt.iter().copied().collect(),
            output: HashMap::new(),
        };
        let off = sampling.repetition_penalty.to_bits() == 1.0_f32.to_bits()
            && sampling.presence_penalty == 0.0
            && sampling.frequency_penalty == 0.0;
        (!off).then_some(penalties)
    }
}

impl LogitsRule for Penalties {
    fn apply(&mut self, logits: &mut [f32], _: &[&[f32]]) -> Result<(), EngineError> {
        let only_prompt = self.prompt.iter().filter(|t| !self.output.contains_key(t));
        for token in only_prompt.chain(self.output.keys()) {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit =
                    if *logit > 0.0 { *logit / self.repetition } else { *logit * self.repetition };
            }
        }
        for (token, count) in &self.output {
            if let Some(logit) = logits.get_mut(*token as usize) {
                #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
                let times = *count as f32;
                *logit -= self.presence + self.frequency * times;
            }
        }
        Ok(())
    }

    fn accept(&mut self, token: u32) -> Result<(), EngineError> {
        *self.output.entry(token).or_default() += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_penalty_acts_on_its_tokens() {
        let sampling = Sampling {
            repetition_penalty: 2.0,
            presence_penalty: 0.5,
            frequency_penalty: 0.25,
            ..Sampling::default()
        };
        let mut penalties = Penalties::new(&sampling, &[0, 1]).expect("on");
        for token in [1, 2, 2] {
            penalties.accept(token).expect("accepts");
        }
        let mut logits = [4.0, -4.0, 4.0, 4.0];
        penalties.apply(&mut logits, &[]).expect("applies");
        // Prompt only; prompt and once in the output; twice in the output; never.
        assert_eq!(logits, [2.0, -8.0 - 0.75, 2.0 - 1.0, 4.0]);
    }

    #[test]
    fn neutral_penalties_are_no_rule() {
        assert!(Penalties::new(&Sampling::default(), &[1]).is_none());
    }
}

//! What is done with texts: the operator says it for all, and a request may only tighten it.

use std::path::PathBuf;

use gateway_toxicity::Category;
use gateway_wire::{ModerationMode, ModerationParam};

/// What is scored and blocked for all requests.
#[derive(Debug, Clone)]
pub struct ModerationSettings {
    pub policy: ModerationPolicy,
    /// A folder whose encoder scores; `None` is the embedded scorer.
    pub encoder: Option<PathBuf>,
    /// In place of the scorer's own.
    pub thresholds: Vec<(Category, f32)>,
    /// How many jobs may wait for the scorer.
    pub queue_jobs: usize,
}

/// What is done with one direction's texts, from lax to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Nothing.
    Off,
    /// They are scored.
    Score,
    /// They are scored before they pass, and do not pass if they are flagged.
    Block,
}

/// What becomes of a text that would be blocked if it were flagged, and cannot be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It passes.
    Open,
    /// It is blocked.
    Closed,
}

/// What is done with prompts and with answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModerationPolicy {
    pub input: Mode,
    pub output: Mode,
    pub on_failure: OnFailure,
}

impl ModerationPolicy {
    /// Whether nothing is scored.
    pub(crate) fn is_off(self) -> bool {
        self.input.max(self.output) == Mode::Off
    }

    /// The same, or stricter if the request asks for it.
    pub(crate) fn tightened(self, asked: Option<&ModerationParam>) -> Self {
        let Some(asked) = asked else { return self };
        let input = self.input.max(asked.input.into());
        let output = self.output.max(asked.output.into());
        Self { input, output, ..self }
    }
}

impl From<ModerationMode> for Mode {
    fn from(mode: ModerationMode) -> Self {
        match mode {
            ModerationMode::Score => Self::Score,
            ModerationMode::Block => Self::Block,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_tighten_and_never_loosen() {
        const MODES: [Mode; 3] = [Mode::Off, Mode::Score, Mode::Block];
        const ASKED: [ModerationMode; 2] = [ModerationMode::Score, ModerationMode::Block];
        for own in MODES {
            for asked in ASKED {
                let own =
                    ModerationPolicy { input: own, output: own, on_failure: OnFailure::Closed };
                let param = ModerationParam { model: String::new(), input: asked, output: asked };
                let policy = own.tightened(Some(&param));
                assert!(policy.input >= own.input && policy.input >= asked.into());
                assert!([own.input, asked.into()].contains(&policy.input));
                assert_eq!((policy.output, policy.on_failure), (policy.input, own.on_failure));
                assert_eq!(own.tightened(None), own);
            }
        }
    }
}

//! What changes a row's logits before a token is drawn.

mod bias;
mod grammar;
mod minimum;
mod penalties;

pub(crate) use bias::Bias;
pub(crate) use grammar::GrammarCompiler;
pub(crate) use minimum::Minimum;
pub(crate) use penalties::Penalties;

use crate::EngineError;

/// A change of the logits before sampling.
///
/// Adapter kinds that act on the next-token distribution are rules too; those that compare the
/// row with others (experts, self-debiasing) read the logits of its companion rows.
pub(crate) trait LogitsRule: Send {
    /// Changes `logits` (vocabulary). `companions` are the logits of the row's companion rows at
    /// the same position, in their order.
    fn apply(&mut self, logits: &mut [f32], companions: &[&[f32]]) -> Result<(), EngineError>;

    /// Learns which token was drawn.
    fn accept(&mut self, token: u32) -> Result<(), EngineError>;
}

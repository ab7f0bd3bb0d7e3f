//! Drawing one answer's tokens, wherever their logits were computed.
//!
//! Engines differ in how they compute a model, not in what a [`Sampling`] means:
//! rules, sampler, seed and ends are here, once.

use model::Tokenizer;

use crate::rules::{Bias, GrammarCompiler, LogitsRule, Minimum, Penalties};
use crate::sampler::{self, Scored};
use crate::{EngineError, FinishReason, Job, Sampling, SubmitError};

/// Begins [`Drawing`]s for one model.
pub struct Drawer {
    grammars: GrammarCompiler,
    eos: Vec<u32>,
}

impl Drawer {
    /// For a model with this tokenizer and `vocabulary` logits.
    ///
    /// # Errors
    /// The grammar compiler's words, if it refuses the vocabulary.
    pub fn new(tokenizer: &Tokenizer, vocabulary: usize) -> Result<Self, String> {
        let grammars = GrammarCompiler::new(tokenizer, vocabulary)?;
        Ok(Self { grammars, eos: tokenizer.eos().to_vec() })
    }

    /// Begins the answer to `job`, for which there is room for `room` new tokens.
    ///
    /// # Errors
    /// [`SubmitError::Grammar`] if the grammar is not supported.
    pub fn begin(&self, job: &Job, room: usize) -> Result<Drawing, SubmitError> {
        let grammar = self.grammars.compile(&job.grammar)?;
        let limits = &job.limits;
        let mut ends = limits.stop_tokens.clone();
        if !limits.ignore_eos {
            ends.extend(&self.eos);
        }
        let mut rules: Vec<Box<dyn LogitsRule>> = Vec::new();
        if !job.sampling.logit_bias.is_empty() {
            rules.push(Box::new(Bias(job.sampling.logit_bias.clone())));
        }
        if let Some(penalties) = Penalties::new(&job.sampling, &job.prompt) {
            rules.push(Box::new(penalties));
        }
        if limits.min_tokens > 0 {
            rules.push(Box::new(Minimum { due: limits.min_tokens, ends: ends.clone() }));
        }
        if let Some(grammar) = grammar {
            rules.push(Box::new(grammar));
        }
        Ok(Drawing {
            drawn: 0,
            max_tokens: limits.max_tokens.min(room),
            sampling: job.sampling.clone(),
            scores: job.logprobs.generated,
            rules,
            ends,
        })
    }
}

/// An answer under way: what was drawn so far decides what may be drawn next.
pub struct Drawing {
    drawn: usize,
    max_tokens: usize,
    sampling: Sampling,
    /// With how many alternatives tokens are scored, if they are.
    scores: Option<usize>,
    rules: Vec<Box<dyn LogitsRule>>,
    /// Tokens that end the text.
    ends: Vec<u32>,
}

/// A token that was drawn, and how likely the model held it.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn(pub(crate) Scored);

impl Drawn {
    /// The token's id.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.0.token
    }
}

/// What became of one position.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// The token that is part of the answer, if there is one.
    pub token: Option<Drawn>,
    /// Set if nothing follows.
    pub finish: Option<FinishReason>,
}

impl Drawing {
    /// Draws from the logits (vocabulary) behind the last token: the job's own, then those of its
    /// companions.
    ///
    /// # Errors
    /// [`EngineError::Grammar`] if the grammar cannot go on.
    pub fn draw(&mut self, logits: &[f32], companions: &[&[f32]]) -> Result<Draw, EngineError> {
        if self.max_tokens == 0 {
            return Ok(Draw { token: None, finish: Some(FinishReason::Length) });
        }
        let scored = self.choose(logits, companions)?;
        self.drawn += 1;
        if self.ends.contains(&scored.token) {
            return Ok(Draw { token: None, finish: Some(FinishReason::Stop) });
        }
        let finish = (self.drawn >= self.max_tokens).then_some(FinishReason::Length);
        Ok(Draw { token: Some(Drawn(scored)), finish })
    }

    /// Tokens drawn so far, one that ended the text included.
    #[must_use]
    pub const fn drawn(&self) -> usize {
        self.drawn
    }

    /// The most tokens that may be drawn.
    #[must_use]
    pub const fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn choose(&mut self, logits: &[f32], companions: &[&[f32]]) -> Result<Scored, EngineError> {
        let mut changed = logits.to_vec();
        for rule in &mut self.rules {
            rule.apply(&mut changed, companions)?;
        }
        let token = sampler::draw(&mut changed, &self.sampling, self.drawn as u64);
        if !self.ends.contains(&token) {
            for rule in &mut self.rules {
                rule.accept(token)?;
            }
        }
        Ok(match self.scores {
            Some(top) => sampler::score(logits, token, top),
            None => Scored::unscored(token),
        })
    }
}

impl std::fmt::Debug for Drawing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drawing").field("drawn", &self.drawn).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Drawer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Drawer")
    }
}

//! A job in the engine: its sequences, its rules and the way to its reader.

use std::sync::Arc;
use std::time::Instant;

use model::KvCache;
use tokio::sync::mpsc::Receiver;

use super::blocks::BlockPool;
use super::comparing::Comparing;
use super::outlet::{Event, Outlet, outlet};
use super::sequence::{PrefixUse, Sequence};
use crate::rules::{Bias, GrammarRule, LogitsRule, Minimum, Penalties};
use crate::sampler::{self, Scored};
use crate::{EngineError, FinishReason, Job, Logprobs, Permit, Priority, Sampling};

/// A job that waits or runs.
pub(super) struct Row {
    /// The job's own sequence, then its companions', then the one that it is compared with.
    pub(super) members: Vec<Sequence>,
    pub(super) outlet: Outlet,
    pub(super) deadline: Instant,
    priority: Priority,
    logprobs: Logprobs,
    pub(super) prompt_tokens: usize,
    /// Scores of the prompt's tokens, as far as they are computed.
    pub(super) prompt_scores: Vec<Scored>,
    pub(super) comparing: Option<Comparing>,
    cached_tokens: Option<usize>,
    started: bool,
    drawn: usize,
    max_tokens: usize,
    sampling: Sampling,
    rules: Vec<Box<dyn LogitsRule>>,
    /// Tokens that end the text.
    ends: Vec<u32>,
    _permit: Arc<Permit>,
}

impl Row {
    /// A row for `job`, which has room for `room` new tokens, and its reader's end.
    pub(super) fn new(
        job: Job,
        room: usize,
        eos: &[u32],
        grammar: Option<GrammarRule>,
    ) -> (Self, Receiver<Event>) {
        let (outlet, events) = outlet();
        let limits = &job.limits;
        let mut ends = limits.stop_tokens.clone();
        if !limits.ignore_eos {
            ends.extend(eos);
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
        let max_tokens = limits.max_tokens.min(room);
        let prompt_tokens = job.prompt.len();
        let prompt_scores = match job.logprobs.prompt {
            Some(_) => vec![Scored { token: job.prompt[0], logprob: None, top: Vec::new() }],
            None => Vec::new(),
        };
        let members: Vec<_> = job
            .sequences()
            .map(|(prompt, adapters)| Sequence::new(prompt.clone(), adapters.clone()))
            .collect();
        let comparing =
            job.comparison.map(|c| Comparing::new(members.len() - 1, c.from, prompt_tokens));
        let row = Self {
            members,
            outlet,
            deadline: job.deadline,
            priority: job.priority,
            logprobs: job.logprobs,
            prompt_tokens,
            prompt_scores,
            comparing,
            cached_tokens: None,
            started: false,
            drawn: 0,
            max_tokens,
            sampling: job.sampling,
            rules,
            ends,
            _permit: job.permit,
        };
        (row, events)
    }

    pub(super) fn is_background(&self) -> bool {
        self.priority == Priority::Background
    }

    /// Whether every sequence lacks only its last token, so that the next step can draw.
    pub(super) fn is_generating(&self) -> bool {
        self.members.iter().all(|m| m.remaining() == 1)
    }

    /// How many tokens of a member may be computed in the next step. The last tokens of several
    /// members go together, since their logits are compared.
    pub(super) fn computable(&self, member: usize) -> usize {
        let remaining = self.members[member].remaining();
        if self.members.len() == 1 || self.is_generating() { remaining } else { remaining - 1 }
    }

    /// With how many alternatives the prompt is to be scored, until its scores have been sent.
    pub(super) fn wanted_prompt_scores(&self) -> Option<usize> {
        self.logprobs.prompt.filter(|_| !self.started)
    }

    fn prefix_use(&self) -> PrefixUse {
        let compares = self.comparing.is_some() && !self.started;
        match (self.priority, compares || self.wanted_prompt_scores().is_some()) {
            (Priority::Background, _) => PrefixUse::Private,
            (Priority::Foreground, true) => PrefixUse::Compute,
            (Priority::Foreground, false) => PrefixUse::Share,
        }
    }

    /// Blocks that it needs beyond those in the prefix cache.
    pub(super) fn blocks_needed(&self, pool: &BlockPool) -> usize {
        let prefix = self.prefix_use();
        self.members.iter().map(|member| member.blocks_needed(pool, prefix)).sum()
    }

    /// Takes places in the cache; gives prompt tokens looked up and found.
    pub(super) fn begin(&mut self, pool: &mut BlockPool, cache: &mut KvCache) -> (usize, usize) {
        let prefix = self.prefix_use();
        let mut found = 0;
        for (index, member) in self.members.iter_mut().enumerate() {
            let cached = member.begin(pool, cache, prefix);
            found += cached;
            if index == 0 {
                self.cached_tokens.get_or_insert(cached);
            }
        }
        let queried = match prefix {
            PrefixUse::Share => self.members.iter().map(|m| m.tokens.len()).sum(),
            PrefixUse::Compute | PrefixUse::Private => 0,
        };
        (queried, found)
    }

    /// Gives the places back.
    pub(super) fn end(&mut self, pool: &mut BlockPool) {
        for member in &mut self.members {
            member.end(pool);
        }
    }

    /// Takes the logits behind the last token of each member; whether the row is done.
    pub(super) fn take_logits(&mut self, logits: &[&[f32]]) -> bool {
        self.start();
        if self.max_tokens == 0 {
            return self.finish(FinishReason::Length);
        }
        match self.draw(logits) {
            Ok(scored) => self.take_token(scored),
            Err(error) => self.fail(error),
        }
    }

    /// Tells the reader that the prompt is computed, once.
    fn start(&mut self) {
        if !self.started {
            self.started = true;
            let prompt = self.logprobs.prompt.map(|_| std::mem::take(&mut self.prompt_scores));
            let cached_tokens = self.cached_tokens.unwrap_or(0).min(self.prompt_tokens);
            let divergence = self.comparing.as_ref().map(Comparing::found);
            self.outlet.push(Event::Started { cached_tokens, prompt, divergence });
        }
    }

    fn draw(&mut self, logits: &[&[f32]]) -> Result<Scored, EngineError> {
        let (own, companions) = logits.split_at(1);
        let mut changed = own[0].to_vec();
        for rule in &mut self.rules {
            rule.apply(&mut changed, companions)?;
        }
        let token = sampler::draw(&mut changed, &self.sampling, self.drawn as u64);
        if !self.ends.contains(&token) {
            for rule in &mut self.rules {
                rule.accept(token)?;
            }
        }
        Ok(match self.logprobs.generated {
            Some(top) => sampler::score(own[0], token, top),
            None => Scored { token, logprob: None, top: Vec::new() },
        })
    }

    fn take_token(&mut self, scored: Scored) -> bool {
        self.drawn += 1;
        if self.ends.contains(&scored.token) {
            return self.finish(FinishReason::Stop);
        }
        for member in &mut self.members {
            member.tokens.push(scored.token);
        }
        self.outlet.push(Event::Token(scored));
        if self.drawn >= self.max_tokens { self.finish(FinishReason::Length) } else { false }
    }

    fn finish(&mut self, reason: FinishReason) -> bool {
        self.outlet.push(Event::Finished { reason, completion_tokens: self.drawn });
        true
    }

    /// Ends the row with an error.
    pub(super) fn fail(&mut self, error: EngineError) -> bool {
        self.outlet.push(Event::Failed(error));
        true
    }
}

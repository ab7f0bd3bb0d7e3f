//! A job in the engine: its sequences, its rules and the way to its reader.

use std::sync::Arc;
use std::time::Instant;

use model::KvCache;
use tokio::sync::mpsc::Receiver;

use super::blocks::BlockPool;
use super::comparing::Comparing;
use super::outlet::{Event, Outlet, outlet};
use super::sequence::{PrefixUse, Sequence};
use crate::sampler::Scored;
use crate::{Draw, Drawing, EngineError, Job, Permit, Priority};

/// A job that waits or runs.
pub(super) struct Row {
    /// The job's own sequence, then its companions', then the one that it is compared with.
    pub(super) members: Vec<Sequence>,
    pub(super) outlet: Outlet,
    pub(super) deadline: Instant,
    priority: Priority,
    /// With how many alternatives the prompt is scored, if it is.
    prompt_logprobs: Option<usize>,
    pub(super) prompt_tokens: usize,
    /// Scores of the prompt's tokens, as far as they are computed.
    pub(super) prompt_scores: Vec<Scored>,
    pub(super) comparing: Option<Comparing>,
    cached_tokens: Option<usize>,
    started: bool,
    drawing: Drawing,
    _permit: Arc<Permit>,
}

impl Row {
    /// A row for `job`, whose tokens are drawn by `drawing`, and its reader's end.
    pub(super) fn new(job: Job, drawing: Drawing) -> (Self, Receiver<Event>) {
        let (outlet, events) = outlet();
        let prompt_tokens = job.prompt.len();
        let prompt_scores = match job.logprobs.prompt {
            Some(_) => vec![Scored::unscored(job.prompt[0])],
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
            prompt_logprobs: job.logprobs.prompt,
            prompt_tokens,
            prompt_scores,
            comparing,
            cached_tokens: None,
            started: false,
            drawing,
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
        self.prompt_logprobs.filter(|_| !self.started)
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
        let (own, companions) = logits.split_at(1);
        match self.drawing.draw(own[0], companions) {
            Ok(draw) => self.take_draw(draw),
            Err(error) => self.fail(error),
        }
    }

    /// Tells the reader that the prompt is computed, once.
    fn start(&mut self) {
        if !self.started {
            self.started = true;
            let prompt = self.prompt_logprobs.map(|_| std::mem::take(&mut self.prompt_scores));
            let cached_tokens = self.cached_tokens.unwrap_or(0).min(self.prompt_tokens);
            let divergence = self.comparing.as_ref().map(Comparing::found);
            self.outlet.push(Event::Started { cached_tokens, prompt, divergence });
        }
    }

    fn take_draw(&mut self, Draw { token, finish }: Draw) -> bool {
        if let Some(token) = token {
            for member in &mut self.members {
                member.tokens.push(token.id());
            }
            self.outlet.push(Event::Token(token));
        }
        if let Some(reason) = finish {
            let completion_tokens = self.drawing.drawn();
            self.outlet.push(Event::Finished { reason, completion_tokens });
        }
        finish.is_some()
    }

    /// Ends the row with an error.
    pub(super) fn fail(&mut self, error: EngineError) -> bool {
        self.outlet.push(Event::Failed(error));
        true
    }
}

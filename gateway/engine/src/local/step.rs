//! One step: which tokens are computed, and what becomes of the results.

use std::ops::Range;

use adapters::StackedDelta;
use model::{Rows, Segment};

use super::budget::divide;
use super::row::Row;
use super::worker::Worker;
use crate::EngineError;
use crate::sampler;

/// Rows of logits that are computed together for prompt scores, to bound their memory.
const SCORED_ROWS: usize = 32;

/// A member of a row and how many of its tokens the step computes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) row: usize,
    pub(super) member: usize,
    pub(super) tokens: usize,
}

impl Worker {
    /// Computes one step of the running rows.
    pub(super) fn step(&mut self) {
        let mut plan = self.plan();
        self.make_room(&mut plan);
        if plan.is_empty() {
            return;
        }
        let (spans, hidden) = match self.compute(&plan) {
            Ok(results) => results,
            Err(error) => return self.fail_all(&error),
        };
        for share in &plan {
            self.running[share.row].members[share.member].advance(&mut self.blocks, share.tokens);
        }
        self.score_prompts(&plan, &spans, &hidden);
        self.compare(&plan, &spans, &hidden);
        let done = self.draw(&plan, &spans, &hidden);
        self.retire(&done);
    }

    /// Rows that generate get their one token; the rest of the budget goes to prompts in equal
    /// shares, what is left of it to the oldest. Beside rows that generate, or in the background, tokens
    /// are fewer the more past they have, so that all such steps take equally long. A background row has a step to itself, or none.
    pub(super) fn plan(&self) -> Vec<Share> {
        let background = !self.foreground_wants();
        let rows = self.running.iter().enumerate();
        let rows = rows.filter(|(_, r)| !r.outlet.is_blocked() && r.is_background() == background);
        let (generating, prompts): (Vec<_>, Vec<_>) = rows.partition(|(_, r)| r.is_generating());
        let mut plan = shares(generating);
        let prompts = shares(prompts);
        if plan.is_empty() && !background {
            return divide(self.settings.step_tokens, prompts);
        }
        let mut prompts = divide(self.settings.shared_step_tokens, prompts);
        for share in &mut prompts {
            let past = self.running[share.row].members[share.member].computed();
            share.tokens = self.token_cost.as_long_as(share.tokens, past);
        }
        plan.extend(prompts);
        plan
    }

    /// Gives each planned member its blocks, oldest rows first. When there are none left, the
    /// last row gives its own back and is computed again later.
    fn make_room(&mut self, plan: &mut Vec<Share>) {
        plan.sort_by_key(|share| (share.row, share.member));
        let mut kept = 0;
        while kept < plan.len() {
            let share = plan[kept];
            let member = &mut self.running[share.row].members[share.member];
            let tokens = member.computed() + share.tokens;
            if member.reserve(&mut self.blocks, tokens) {
                kept += 1;
                continue;
            }
            let last = self.running.len() - 1;
            plan.retain(|share| share.row != last);
            kept = kept.min(plan.len());
            self.preempt_last();
        }
    }

    /// Hidden states of all planned tokens, and which rows of them belong to which share.
    fn compute(&mut self, plan: &[Share]) -> Result<(Vec<Range<usize>>, Rows), model::ModelError> {
        let mut delta = StackedDelta::default();
        let mut spans = Vec::with_capacity(plan.len());
        let mut segments = Vec::with_capacity(plan.len());
        let mut first = 0;
        for share in plan {
            let member = &self.running[share.row].members[share.member];
            let start = member.computed();
            let tokens = &member.tokens[start..start + share.tokens];
            segments.push(Segment { tokens, start, table: member.table() });
            let span = first..first + share.tokens;
            delta.add_rows(span.clone(), &member.adapters);
            first = span.end;
            spans.push(span);
        }
        let hidden = self.decoder.hidden(&mut self.cache, &segments, &delta)?;
        Ok((spans, hidden))
    }

    /// Scores the prompt tokens that were asked for: each by the hidden state before it.
    fn score_prompts(&mut self, plan: &[Share], spans: &[Range<usize>], hidden: &Rows) {
        for (share, span) in plan.iter().zip(spans) {
            let row = &mut self.running[share.row];
            let Some(top) = row.wanted_prompt_scores().filter(|_| share.member == 0) else {
                continue;
            };
            let start = row.members[0].computed() - share.tokens;
            // Position p scores token p + 1; what was scored before a preemption stays.
            let positions = start.max(row.prompt_scores.len().saturating_sub(1))
                ..row.members[0].computed().min(row.prompt_tokens - 1);
            let positions: Vec<usize> = positions.collect();
            for part in positions.chunks(SCORED_ROWS) {
                let logits = self
                    .decoder
                    .logits(&hidden.gather(part.iter().map(|p| span.start + p - start)));
                for (i, p) in part.iter().enumerate() {
                    let token = row.members[0].tokens[p + 1];
                    row.prompt_scores.push(sampler::score(logits.row(i), token, top));
                }
            }
        }
    }

    /// Takes the distributions of the rows that are compared with others.
    fn compare(&mut self, plan: &[Share], spans: &[Range<usize>], hidden: &Rows) {
        for (share, span) in plan.iter().zip(spans) {
            let row = &mut self.running[share.row];
            let start = row.members[share.member].computed() - share.tokens;
            if let Some(comparing) = &mut row.comparing {
                comparing.collect(share.member, start, span.clone().map(|i| hidden.row(i)));
                comparing.settle(|hidden| self.decoder.logits(hidden));
            }
        }
    }

    /// Draws a token for each row whose sequences are computed to their ends; which rows are done.
    fn draw(&mut self, plan: &[Share], spans: &[Range<usize>], hidden: &Rows) -> Vec<usize> {
        let complete =
            |share: &Share| self.running[share.row].members.iter().all(|m| m.remaining() == 0);
        let last: Vec<(usize, usize)> = plan
            .iter()
            .zip(spans)
            .filter(|(share, _)| complete(share))
            .map(|(share, span)| (share.row, span.end - 1))
            .collect();
        if last.is_empty() {
            return Vec::new();
        }
        let logits = self.decoder.logits(&hidden.gather(last.iter().map(|(_, at)| *at)));
        let mut done = Vec::new();
        let mut first = 0;
        // The plan is in the order of rows and members, so a row's logits are neighbours.
        for group in last.chunk_by(|a, b| a.0 == b.0) {
            let members: Vec<&[f32]> =
                (first..first + group.len()).map(|i| logits.row(i)).collect();
            first += group.len();
            if self.running[group[0].0].take_logits(&members) {
                done.push(group[0].0);
            }
        }
        done
    }

    /// Takes finished rows out.
    fn retire(&mut self, done: &[usize]) {
        for &index in done.iter().rev() {
            let mut row = self.running.remove(index);
            row.end(&mut self.blocks);
            self.drain(row);
        }
    }

    /// A step that cannot be computed fails the rows that run; those that wait are not touched.
    fn fail_all(&mut self, error: &model::ModelError) {
        tracing::error!(%error, "a step failed");
        for mut row in std::mem::take(&mut self.running) {
            row.end(&mut self.blocks);
            row.fail(EngineError::Internal("a step failed".into()));
            self.drain(row);
        }
    }
}

/// What the members of `rows` could compute.
fn shares(rows: Vec<(usize, &Row)>) -> Vec<Share> {
    let members = rows.into_iter().flat_map(|(row, r)| {
        let share = move |member| Share { row, member, tokens: r.computable(member) };
        (0..r.members.len()).map(share)
    });
    members.filter(|share| share.tokens > 0).collect()
}

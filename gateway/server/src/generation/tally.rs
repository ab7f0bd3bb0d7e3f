//! What a request's jobs took, and what metrics are told at their end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_engine::Chunk;
use gateway_wire::{AppliedAdapter, FinishReason, Usage};

use crate::audit::{Generated, Verdicts};
use crate::call::Call;
use crate::choice::Choice;
use crate::clock;
use crate::gateway::Gateway;
use crate::keys::Reservation;
use crate::note::Note;
use crate::trace::Answered;

/// The count. Dropping it tells the metrics; before [`Tally::end`], that is a cancellation.
pub(super) struct Tally {
    gateway: Arc<Gateway>,
    route: String,
    adapters: Arc<str>,
    names: Vec<Arc<str>>,
    started: Instant,
    /// Of each prompt.
    prompt_tokens: Vec<usize>,
    answers_per_prompt: usize,
    answers: Vec<Answer>,
    ended: bool,
    /// What the caller's key was charged.
    reservation: Option<Reservation>,
    note: Note,
    /// What the note is told, as far as it is known before the end.
    applied: Vec<AppliedAdapter>,
    verdicts: Verdicts,
}

/// The count of one answer.
#[derive(Debug, Default, Clone)]
struct Answer {
    finish: Option<FinishReason>,
    first: Option<Instant>,
    last: Option<Instant>,
    prompt_tokens: usize,
    cached_tokens: usize,
    completion_tokens: usize,
}

impl Tally {
    pub(super) fn new(
        gateway: &Arc<Gateway>,
        call: &Call,
        choice: &Choice,
        prompt_tokens: Vec<usize>,
        answers_per_prompt: usize,
    ) -> Self {
        let names = choice.vector.entries().iter();
        Self {
            gateway: Arc::clone(gateway),
            route: call.route.clone(),
            adapters: Arc::clone(&choice.label),
            names: names.map(|entry| gateway.sets.label(entry.lease.name().as_str())).collect(),
            started: call.started,
            answers: vec![Answer::default(); prompt_tokens.len() * answers_per_prompt],
            prompt_tokens,
            answers_per_prompt,
            ended: false,
            reservation: None,
            note: call.note().clone(),
            applied: choice.applied.adapters.clone(),
            verdicts: Verdicts::default(),
        }
    }

    /// The same, charged to the caller's key.
    pub(super) fn paid_by(mut self, reservation: Option<Reservation>) -> Self {
        self.reservation = reservation;
        self
    }

    /// Counts a chunk.
    pub(super) fn note(&mut self, index: usize, chunk: &Chunk) {
        let answer = &mut self.answers[index];
        if !chunk.tokens.is_empty() {
            let now = clock::now();
            answer.first.get_or_insert(now);
            answer.last = Some(now);
            answer.completion_tokens += chunk.tokens.len();
        }
        if let Some(finish) = chunk.finish {
            answer.prompt_tokens = finish.prompt_tokens;
            answer.cached_tokens = finish.cached_tokens;
            answer.completion_tokens = finish.completion_tokens;
        }
    }

    /// The answer has come to its end; one that is filtered, before its generation has.
    pub(super) fn finish(&mut self, index: usize, finish: FinishReason) {
        self.answers[index].finish = Some(finish);
        if finish == FinishReason::ContentFilter {
            let prompt = index / self.answers_per_prompt.max(1);
            self.answers[index].prompt_tokens = self.prompt_tokens[prompt];
        }
    }

    /// Whether moderation has ended an answer.
    pub(super) fn is_cut(&self) -> bool {
        self.answers.iter().any(|answer| answer.finish == Some(FinishReason::ContentFilter))
    }

    /// What moderation said in the end.
    pub(super) fn judge(&mut self, verdicts: Verdicts) {
        self.verdicts = verdicts;
    }

    /// All jobs have come to their end, good or bad.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The tokens; a prompt counts once, however many answers it has.
    pub(super) fn usage(&self) -> Usage {
        let prompts = || self.answers.iter().step_by(self.answers_per_prompt.max(1));
        Usage::new(
            prompts().map(|answer| answer.prompt_tokens).sum(),
            prompts().map(|answer| answer.cached_tokens).sum(),
            self.answers.iter().map(|answer| answer.completion_tokens).sum(),
        )
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let gateway = Arc::clone(&self.gateway);
        let metrics = &gateway.metrics;
        let labels = [&*self.adapters];
        let sampled = self.note.sampled();
        let usage = self.usage();
        if let Some(reservation) = &mut self.reservation {
            // Who hangs up has had the prompt read all the same.
            let prompts: usize = self.prompt_tokens.iter().sum();
            reservation.use_up(prompts + usage.completion_tokens);
        }
        metrics.prompt_tokens.with_label_values(&labels).inc_by(usage.prompt_tokens as u64);
        metrics.completion_tokens.with_label_values(&labels).inc_by(usage.completion_tokens as u64);
        for name in &self.names {
            metrics.adapter_requests.with_label_values(&[&**name]).inc();
            let tokens = metrics.adapter_tokens.with_label_values(&[&**name]);
            tokens.inc_by(usage.completion_tokens as u64);
        }
        if let Some(first) = self.to_first_token() {
            let seconds = first.as_secs_f64();
            metrics.first_token_seconds.observe(&labels, seconds, sampled);
        }
        for seconds in self.answers.iter().filter_map(Answer::seconds_per_token) {
            metrics.output_token_seconds.observe(&labels, seconds, sampled);
        }
        if !self.ended {
            metrics.cancelled.with_label_values(&[&*self.route]).inc();
        }
        self.note.answer(|| self.answered(&usage));
        let generated = self.generated(&usage);
        self.note.generate(generated);
    }
}

impl Tally {
    /// For the trace.
    fn answered(&self, usage: &Usage) -> Answered {
        Answered {
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: usage.prompt_tokens_details.cached_tokens,
            completion_tokens: usage.completion_tokens,
            finishes: self.answers.iter().filter_map(|answer| answer.finish).map(word).collect(),
            first: self.to_first_token(),
            ended: clock::now(),
            cancelled: !self.ended,
        }
    }

    /// From the request to the first token of any answer.
    fn to_first_token(&self) -> Option<Duration> {
        let first = self.answers.iter().filter_map(|answer| answer.first).min()?;
        Some(first - self.started)
    }

    /// For the audit log.
    fn generated(&mut self, usage: &Usage) -> Generated {
        let mut finish = BTreeMap::new();
        for reason in self.answers.iter().filter_map(|answer| answer.finish) {
            *finish.entry(word(reason)).or_default() += 1;
        }
        let model = self.gateway.loaded().map(|served| served.engine.model().name.clone());
        Generated {
            model: model.unwrap_or_default(),
            adapters: std::mem::take(&mut self.applied),
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            finish,
            moderation: std::mem::take(&mut self.verdicts),
        }
    }
}

const fn word(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
    }
}

impl Answer {
    fn seconds_per_token(&self) -> Option<f64> {
        let steps =
            u32::try_from(self.completion_tokens).ok()?.checked_sub(1).filter(|n| *n > 0)?;
        Some((self.last? - self.first?).as_secs_f64() / f64::from(steps))
    }
}

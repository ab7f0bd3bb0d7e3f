//! What a request's jobs took, and what metrics are told at their end.

use std::sync::Arc;
use std::time::Instant;

use gateway_engine::Chunk;
use gateway_wire::Usage;

use crate::call::Call;
use crate::choice::Choice;
use crate::clock;
use crate::gateway::Gateway;
use crate::keys::Reservation;

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
}

/// The count of one answer.
#[derive(Debug, Default, Clone)]
struct Answer {
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

    /// The answer has come to its end before its generation has.
    pub(super) fn cut(&mut self, index: usize) {
        let prompt = index / self.answers_per_prompt.max(1);
        self.answers[index].prompt_tokens = self.prompt_tokens[prompt];
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
        let metrics = &self.gateway.metrics;
        let labels = [&*self.adapters];
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
        if let Some(first) = self.answers.iter().filter_map(|answer| answer.first).min() {
            let seconds = (first - self.started).as_secs_f64();
            metrics.first_token_seconds.with_label_values(&labels).observe(seconds);
        }
        for seconds in self.answers.iter().filter_map(Answer::seconds_per_token) {
            metrics.output_token_seconds.with_label_values(&labels).observe(seconds);
        }
        if !self.ended {
            metrics.cancelled.with_label_values(&[&*self.route]).inc();
        }
    }
}

impl Answer {
    fn seconds_per_token(&self) -> Option<f64> {
        let steps =
            u32::try_from(self.completion_tokens).ok()?.checked_sub(1).filter(|n| *n > 0)?;
        Some((self.last? - self.first?).as_secs_f64() / f64::from(steps))
    }
}

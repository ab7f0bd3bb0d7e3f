//! What a handler wants generated.

use std::sync::Arc;
use std::time::Instant;

use gateway_engine::{Generation, Grammar, Job, Limits, Logprobs, Permit, Priority, Sampling};
use gateway_wire::{Options, ResponseFormat};

use super::Run;
use super::run::Moderated;
use super::slot::Slot;
use super::tally::Tally;
use crate::call::Call;
use crate::chance;
use crate::choice::Choice;
use crate::error::ApiError;
use crate::gateway::{Gateway, Served};
use crate::moderation::{Admission, Plan, Prompts};
use crate::shadow::Witness;
use crate::trace::{Inference, Subject};

/// What is to be generated: `options.n` answers to each prompt.
pub(crate) struct Order {
    pub(crate) prompts: Vec<Vec<u32>>,
    /// The texts of each prompt, if the plan reads them.
    pub(crate) texts: Vec<Vec<String>>,
    pub(crate) plan: Option<Plan>,
    pub(crate) options: Options,
    pub(crate) format: ResponseFormat,
    pub(crate) logprobs: Logprobs,
    pub(crate) choice: Choice,
    /// What a trace says of it.
    pub(crate) subject: Subject,
}

impl Order {
    /// Has the prompts judged where they may be blocked, and starts the jobs of those that pass.
    /// The permit is theirs, and the run's until it is dropped.
    ///
    /// # Errors
    /// If one of the jobs can never run, or the caller may not have as many tokens; then none runs.
    pub(crate) async fn start(
        mut self,
        gateway: &Arc<Gateway>,
        served: &Served,
        call: &Call,
        permit: Permit,
    ) -> Result<Run, ApiError> {
        call.note().infer(|| self.inference(served, call));
        let permit = Arc::new(permit);
        let deadline = call.started + gateway.limits.deadline;
        let reservation = call.reserve(self.most_tokens(served))?;
        let judged = call.wait(gateway.limits.deadline, self.judge()).await?;
        let (slots, witness) = if matches!(judged, Some((Admission::Blocked, _))) {
            let answers = self.prompts.len() * self.options.n;
            ((0..answers).map(|_| Slot::refused()).collect(), None)
        } else {
            let jobs = self.jobs(served, call, deadline, &permit);
            let witness = self.witness(served, &jobs);
            (self.slots(submit(jobs, served)?), witness)
        };
        let moderation = self.plan.take().map(|plan| {
            let prompts = judged.map_or_else(|| plan.watch(&self.texts), |(_, prompts)| prompts);
            Moderated { plan, prompts }
        });
        let prompt_tokens = self.prompts.iter().map(Vec::len).collect();
        let tally = Tally::new(gateway, call, &self.choice, prompt_tokens, self.options.n);
        let tally = tally.paid_by(reservation);
        Ok(Run::new(slots, tally, moderation, deadline, permit).before(witness))
    }

    /// For the trace.
    fn inference(&self, served: &Served, call: &Call) -> Inference {
        let model = &served.engine.model().name;
        Inference::new(&self.subject, &self.options, model, &self.choice.header, call.started)
    }

    /// The tokens of the prompts and of the longest answers, as usage will count them.
    fn most_tokens(&self, served: &Served) -> usize {
        let answers = |prompt: &Vec<u32>| {
            self.limits(served, prompt.len()).max_tokens.saturating_mul(self.options.n)
        };
        let tokens = self.prompts.iter().map(|prompt| answers(prompt).saturating_add(prompt.len()));
        tokens.fold(0, usize::saturating_add)
    }

    /// Waits for the prompts' scores if they decide whether the engine may have the prompts.
    async fn judge(&self) -> Option<(Admission, Prompts)> {
        self.plan.as_ref()?.judge(&self.texts).await
    }

    /// A job for each answer to each prompt.
    fn jobs(
        &self,
        served: &Served,
        call: &Call,
        deadline: Instant,
        permit: &Arc<Permit>,
    ) -> Vec<Job> {
        let trace = call.note().trace().map(|trace| trace.context().clone());
        let seed = self.options.seed.unwrap_or_else(chance::bits);
        let mut jobs = Vec::with_capacity(self.prompts.len() * self.options.n);
        for prompt in &self.prompts {
            for number in 0..self.options.n {
                jobs.push(Job {
                    prompt: prompt.clone(),
                    adapters: self.choice.vector.clone(),
                    sampling: self.sampling(choice_seed(seed, number)),
                    limits: self.limits(served, prompt.len()),
                    grammar: self.grammar(),
                    logprobs: self.logprobs,
                    companions: Vec::new(),
                    comparison: None,
                    priority: Priority::Foreground,
                    trace: trace.clone(),
                    deadline,
                    permit: Arc::clone(permit),
                });
            }
        }
        jobs
    }

    /// Who watches the first answer, if it is to be compared with the base model's.
    fn witness(&self, served: &Served, jobs: &[Job]) -> Option<Witness> {
        served.shadow.as_ref()?.sample(jobs.first()?, &self.choice.label)
    }

    /// Each generation with its moderator.
    fn slots(&self, generations: Vec<Generation>) -> Vec<Slot> {
        let stop_bytes = self.options.stop.iter().map(String::len).max().unwrap_or(0);
        // Who asks for no token gets no answer that could have a score.
        let plan = self.plan.as_ref().filter(|_| self.options.max_tokens != Some(0));
        let moderator = || plan?.moderator(stop_bytes);
        generations.into_iter().map(|generation| Slot::running(generation, moderator())).collect()
    }

    fn sampling(&self, seed: u64) -> Sampling {
        let options = &self.options;
        Sampling {
            temperature: options.temperature,
            top_p: options.top_p,
            top_k: options.top_k,
            min_p: options.min_p,
            repetition_penalty: options.repetition_penalty,
            presence_penalty: options.presence_penalty,
            frequency_penalty: options.frequency_penalty,
            logit_bias: options.logit_bias.clone(),
            seed,
        }
    }

    fn limits(&self, served: &Served, prompt_tokens: usize) -> Limits {
        let rest = served.engine.model().context_tokens.saturating_sub(prompt_tokens);
        Limits {
            // A prompt that fills the context is the engine's to refuse.
            max_tokens: self.options.max_tokens.unwrap_or(rest.max(1)),
            min_tokens: self.options.min_tokens,
            ignore_eos: self.options.ignore_eos,
            stop: self.options.stop.clone(),
            stop_tokens: self.options.stop_tokens.clone(),
        }
    }

    fn grammar(&self) -> Grammar {
        match &self.format {
            ResponseFormat::Text => Grammar::Free,
            ResponseFormat::JsonObject => Grammar::JsonObject,
            ResponseFormat::JsonSchema(schema) => Grammar::JsonSchema(schema.clone()),
        }
    }
}

/// Starts the jobs, all or none.
fn submit(jobs: Vec<Job>, served: &Served) -> Result<Vec<Generation>, ApiError> {
    jobs.into_iter().map(|job| Ok(served.engine.submit(job)?)).collect()
}

/// The seed of one of `n` answers. The first has the request's own, so that it does not depend on
/// `n`; the others' are scrambled ([SplitMix64](https://doi.org/10.1145/2714064.2660195)).
fn choice_seed(seed: u64, number: usize) -> u64 {
    if number == 0 {
        return seed;
    }
    let mut mixed = seed.wrapping_add((number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_choice_does_not_depend_on_how_many_there_are() {
        assert_eq!(choice_seed(7, 0), 7);
        assert_ne!(choice_seed(7, 1), choice_seed(7, 2));
        assert_ne!(choice_seed(7, 1), choice_seed(8, 1));
    }
}

//! The job whose answer is compared.

use std::sync::Arc;
use std::time::Instant;

use adapters::AdapterVector;
use gateway_engine::{Comparison, Grammar, Job, Limits, Logprobs, Permit, Priority, Sampling};

/// What of a job decides its answer.
pub(super) struct Original {
    prompt: Vec<u32>,
    adapters: AdapterVector,
    sampling: Sampling,
    limits: Limits,
    grammar: Grammar,
}

impl Original {
    pub(super) fn of(job: &Job) -> Self {
        Self {
            prompt: job.prompt.clone(),
            adapters: job.adapters.clone(),
            sampling: job.sampling.clone(),
            limits: job.limits.clone(),
            grammar: job.grammar.clone(),
        }
    }

    /// The same on the base model.
    pub(super) fn on_base(&self, deadline: Instant, permit: &Arc<Permit>) -> Job {
        Job {
            prompt: self.prompt.clone(),
            adapters: AdapterVector::default(),
            sampling: self.sampling.clone(),
            limits: self.limits.clone(),
            grammar: self.grammar.clone(),
            comparison: None,
            ..background(deadline, permit)
        }
    }

    /// Asks how far the adapters moved the model from the base along `answer`.
    pub(super) fn along(&self, answer: &[u32], deadline: Instant, permit: &Arc<Permit>) -> Job {
        let base = Comparison { adapters: AdapterVector::default(), from: self.prompt.len() };
        Job {
            prompt: [&self.prompt, answer].concat(),
            adapters: self.adapters.clone(),
            comparison: Some(base),
            ..background(deadline, permit)
        }
    }
}

/// A background job that generates nothing.
fn background(deadline: Instant, permit: &Arc<Permit>) -> Job {
    Job {
        prompt: Vec::new(),
        adapters: AdapterVector::default(),
        sampling: Sampling::default(),
        limits: Limits {
            max_tokens: 0,
            min_tokens: 0,
            ignore_eos: false,
            stop: Vec::new(),
            stop_tokens: Vec::new(),
        },
        grammar: Grammar::Free,
        logprobs: Logprobs::default(),
        companions: Vec::new(),
        comparison: None,
        priority: Priority::Background,
        // It begins when its request has ended, and nobody waits for it.
        trace: None,
        deadline,
        permit: Arc::clone(permit),
    }
}

//! OpenAI's completions, with nothing added.

use serde_json::{Map, Value, json};

use super::{Said, Target, completions, count, finish};
use crate::{Grammar, Job};

/// What the job asks for and OpenAI's completions have no field for.
pub(super) fn missing(job: &Job) -> Option<&'static str> {
    let (sampling, limits) = (&job.sampling, &job.limits);
    let asked = [
        (!job.adapters.is_empty(), "adapters"),
        (job.logprobs.generated.is_some(), "log-probabilities"),
        (job.logprobs.prompt.is_some(), "log-probabilities of the prompt"),
        (job.grammar != Grammar::Free, "response_format"),
        (sampling.top_k != 0, "top_k"),
        (sampling.min_p > 0.0, "min_p"),
        (sampling.repetition_penalty != 1.0, "repetition_penalty"),
        (limits.ignore_eos, "ignore_eos"),
        (limits.min_tokens > 0, "min_tokens"),
        (!limits.stop_tokens.is_empty(), "stop_token_ids"),
    ];
    asked.into_iter().find(|(asked, _)| *asked).map(|(_, what)| what)
}

pub(super) fn request(job: &Job, target: &Target) -> Map<String, Value> {
    let more = json!({
        "max_tokens": job.limits.max_tokens,
        // What is exact in a double, which JSON's numbers are to many.
        "seed": job.sampling.seed & ((1 << 53) - 1),
    });
    completions(job, target, more)
}

/// Reads a chunk. `None` if it is none.
pub(super) fn read(value: &Value) -> Option<Vec<Said>> {
    let mut said = Vec::new();
    if let Some(choice) = value.get("choices")?.as_array()?.first() {
        let text = choice.get("text").and_then(Value::as_str).unwrap_or_default();
        if !text.is_empty() {
            said.push(Said::Text(text.to_owned()));
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            said.push(Said::Finished(finish(reason)?));
        }
    }
    if value.get("usage").is_some_and(Value::is_object) {
        said.push(Said::Used {
            cached_tokens: count(value, "/usage/prompt_tokens_details/cached_tokens").unwrap_or(0),
            completion_tokens: count(value, "/usage/completion_tokens")?,
        });
    }
    Some(said)
}

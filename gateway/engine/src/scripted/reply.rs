//! What the scripted engine answers.

use serde_json::json;

use super::{Script, schema};
use crate::{Grammar, Job, SubmitError};

/// The whole answer to `job`, before limits and stops.
pub(super) fn text(script: &Script, job: &Job) -> Result<String, SubmitError> {
    let base = script.base_reply.as_ref().filter(|_| job.adapters.entries().is_empty());
    let text = base.or(script.reply.as_ref()).cloned().unwrap_or_else(|| computed(job));
    match &job.grammar {
        Grammar::Free => Ok(text),
        Grammar::JsonObject => Ok(json!({ "reply": text }).to_string()),
        Grammar::JsonSchema(schema) => {
            schema::instance(schema).map(|value| value.to_string()).map_err(SubmitError::Grammar)
        }
    }
}

/// Another text for another prompt, other adapters, or another seed unless it is drawn greedily.
fn computed(job: &Job) -> String {
    let adapters: Vec<_> = job
        .adapters
        .entries()
        .iter()
        .map(|applied| format!("{}={}", applied.lease.name(), applied.scale))
        .collect();
    let (count, hash) = (job.prompt.len(), fingerprint(&job.prompt));
    let seed = if job.sampling.temperature > 0.0 {
        format!(" at seed {}", job.sampling.seed)
    } else {
        String::new()
    };
    format!("{count} tokens ({hash:08x}) with [{}]{seed}.", adapters.join(","))
}

/// FNV-1a over the token ids.
fn fingerprint(tokens: &[u32]) -> u32 {
    tokens.iter().fold(0x811c_9dc5, |hash, token| (hash ^ token).wrapping_mul(0x0100_0193))
}

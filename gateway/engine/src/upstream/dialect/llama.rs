//! llama.cpp's own completions
//! (<https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md>).

use serde_json::{Map, Value, json};

use super::{Said, Target, common, count, logprob, schema, token_id};
use crate::sampler::Scored;
use crate::{FinishReason, Job};

/// What the job asks for and the server cannot do.
pub(super) fn missing(job: &Job) -> Option<&'static str> {
    let (sampling, limits) = (&job.sampling, &job.limits);
    if job.logprobs.prompt.is_some() {
        return Some("log-probabilities of the prompt");
    }
    if limits.min_tokens > 0 {
        return Some("min_tokens");
    }
    // It counts the prompt's tokens, which OpenAI's do not.
    if sampling.presence_penalty != 0.0 || sampling.frequency_penalty != 0.0 {
        return Some("presence_penalty or frequency_penalty");
    }
    None
}

pub(super) fn request(job: &Job, target: &Target) -> Map<String, Value> {
    let (sampling, limits) = (&job.sampling, &job.limits);
    let scales = target.scales();
    let more = json!({
        "n_predict": limits.max_tokens,
        "ignore_eos": limits.ignore_eos,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": job.prompt.len() + limits.max_tokens,
        "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"],
        "logit_bias": sampling.logit_bias,
        "seed": fold(sampling.seed),
        "n_probs": job.logprobs.generated.map_or(0, |top| top.max(1)),
        "return_tokens": true,
        // A scale that is not told keeps the one of all requests.
        "lora": scales,
        // It takes the cache of a prompt under other adapters for its own.
        "cache_prompt": scales.is_empty(),
    });
    let mut fields = common(job, more);
    if let Some(schema) = schema(&job.grammar) {
        fields.insert("json_schema".into(), schema);
    }
    fields
}

/// 64 bits folded to the 32 that it takes; all ones would mean any.
fn fold(seed: u64) -> u64 {
    ((seed >> 32) ^ seed) & 0x7fff_ffff
}

/// Reads an event. `None` if it is none.
pub(super) fn read(value: &Value) -> Option<Vec<Said>> {
    let mut said = Vec::new();
    let ids = value.get("tokens")?.as_array()?;
    let scores = value.get("completion_probabilities").and_then(Value::as_array);
    for (place, id) in ids.iter().enumerate() {
        let scored = scores.and_then(|scores| scores.get(place));
        said.push(Said::Token(token(token_id(id)?, scored)?));
    }
    if value.get("stop")?.as_bool()? {
        said.push(Said::Finished(match value.get("stop_type")?.as_str()? {
            "limit" => FinishReason::Length,
            "eos" | "word" => FinishReason::Stop,
            _ => return None,
        }));
        said.push(Said::Used {
            cached_tokens: count(value, "/timings/cache_n").unwrap_or(0),
            completion_tokens: count(value, "/tokens_predicted")?,
        });
        said.push(Said::Done);
    }
    Some(said)
}

fn token(token: u32, scores: Option<&Value>) -> Option<Scored> {
    let Some(scores) = scores else {
        return Some(Scored::unscored(token));
    };
    let own = logprob(scores.get("logprob")?)?;
    let pair = |entry: &Value| Some((token_id(entry.get("id")?)?, logprob(entry.get("logprob")?)?));
    let top = scores.get("top_logprobs")?.as_array()?.iter().map(pair).collect::<Option<_>>()?;
    Some(Scored { token, logprob: Some(own), top })
}

/// The adapters of a server: what their files are called without folder and ending, and their ids.
pub(in crate::upstream) fn listed(value: &Value) -> Option<Vec<(String, u64)>> {
    let entry = |entry: &Value| {
        let file = entry.get("path")?.as_str()?.rsplit(['/', '\\']).next()?;
        let name = file.strip_suffix(".gguf").unwrap_or(file);
        Some((name.to_owned(), entry.get("id")?.as_u64()?))
    };
    value.as_array()?.iter().map(entry).collect()
}

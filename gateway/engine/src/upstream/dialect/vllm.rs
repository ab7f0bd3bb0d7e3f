//! vLLM's completions: OpenAI's, with token ids in and out
//! (<https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html>).

use serde_json::{Map, Value, json};

use super::{Said, Target, completions, count, finish, logprob, schema, token_id};
use crate::sampler::Scored;
use crate::{Grammar, Job};

pub(super) fn request(job: &Job, target: &Target) -> Map<String, Value> {
    let (sampling, limits) = (&job.sampling, &job.limits);
    let more = json!({
        // It must draw one token even if only the prompt's scores are wanted.
        "max_tokens": limits.max_tokens.max(1),
        "min_tokens": limits.min_tokens,
        "ignore_eos": limits.ignore_eos,
        "stop_token_ids": limits.stop_tokens,
        "top_k": if sampling.top_k == 0 { -1 } else { i64::try_from(sampling.top_k).unwrap_or(-1) },
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        // The same 64 bits, as the signed number that it takes.
        "seed": sampling.seed.cast_signed(),
        "skip_special_tokens": false,
        "return_token_ids": true,
        "return_tokens_as_token_ids": true,
    });
    let mut fields = completions(job, target, more);
    if let Some(top) = job.logprobs.generated {
        fields.insert("logprobs".into(), top.into());
    }
    if let Some(top) = job.logprobs.prompt {
        fields.insert("prompt_logprobs".into(), top.into());
        fields.insert("stream".into(), false.into());
        fields.remove("stream_options");
    }
    if let Some(format) = response_format(&job.grammar) {
        fields.insert("response_format".into(), format);
    }
    fields
}

fn response_format(grammar: &Grammar) -> Option<Value> {
    match grammar {
        Grammar::JsonObject => Some(json!({"type": "json_object"})),
        Grammar::Free | Grammar::JsonSchema(_) => {
            let named = |schema| json!({"name": "answer", "schema": schema});
            schema(grammar)
                .map(|schema| json!({"type": "json_schema", "json_schema": named(schema)}))
        }
    }
}

/// Reads a chunk, or a whole answer. `None` if it is neither.
pub(super) fn read(value: &Value, job: &Job) -> Option<Vec<Said>> {
    let mut said = vec![Said::Model(value.get("model")?.as_str()?.to_owned())];
    let choice = value.pointer("/choices/0");
    if let Some(prompt) =
        choice.and_then(|choice| choice.get("prompt_logprobs")).filter(|p| p.is_array())
    {
        said.push(Said::Prompt(scored_prompt(prompt, job)?));
    }
    // Whoever wants no token has asked for one.
    let wanted = job.limits.max_tokens > 0;
    if let Some(choice) = choice.filter(|_| wanted) {
        said.extend(tokens(choice, job)?.into_iter().map(Said::Token));
    }
    if let Some(reason) =
        choice.and_then(|choice| choice.get("finish_reason")).and_then(Value::as_str)
    {
        said.push(Said::Finished(finish(reason)?));
    }
    if value.get("usage").is_some_and(Value::is_object) {
        let cached_tokens = count(value, "/usage/prompt_tokens_details/cached_tokens").unwrap_or(0);
        let completion_tokens = count(value, "/usage/completion_tokens")?;
        said.push(Said::Used { cached_tokens, completion_tokens });
    }
    Some(said)
}

fn tokens(choice: &Value, job: &Job) -> Option<Vec<Scored>> {
    let ids = choice.get("token_ids")?.as_array()?.iter().map(token_id);
    let ids: Vec<u32> = ids.collect::<Option<_>>()?;
    let Some(top) = job.logprobs.generated else {
        return Some(ids.into_iter().map(Scored::unscored).collect());
    };
    let logprobs = choice.get("logprobs").filter(|l| l.is_object());
    if ids.is_empty() && logprobs.is_none() {
        return Some(Vec::new());
    }
    let chosen = logprobs?.get("token_logprobs")?.as_array()?;
    let tops = logprobs?.get("top_logprobs")?.as_array()?;
    if chosen.len() != ids.len() || tops.len() != ids.len() {
        return None;
    }
    let scored = ids.into_iter().zip(chosen.iter().zip(tops)).map(|(token, (own, others))| {
        Some(Scored {
            token,
            logprob: Some(logprob(own)?),
            top: likeliest(others, top, spelled_id)?,
        })
    });
    scored.collect()
}

/// A list by position: nothing for the first token, then scores by id, the own among them.
fn scored_prompt(list: &Value, job: &Job) -> Option<Vec<Scored>> {
    let list = list.as_array().filter(|list| list.len() == job.prompt.len())?;
    let top = job.logprobs.prompt?;
    let scored = job.prompt.iter().zip(list).map(|(&token, scores)| {
        if scores.is_null() {
            return Some(Scored::unscored(token));
        }
        let own = logprob(scores.get(token.to_string())?.get("logprob")?)?;
        let flat: Map<_, _> = scores
            .as_object()?
            .iter()
            .map(|(id, score)| (id.clone(), score.get("logprob").cloned().unwrap_or(Value::Null)))
            .collect();
        let top = likeliest(&flat.into(), top, |id| id.parse().ok())?;
        Some(Scored { token, logprob: Some(own), top })
    });
    scored.collect()
}

/// The likeliest `top` of scores by id, which may hold one more: the token that was drawn.
fn likeliest(
    scores: &Value,
    top: usize,
    id: impl Fn(&str) -> Option<u32>,
) -> Option<Vec<(u32, f32)>> {
    let entries = scores.as_object()?.iter().map(|(key, score)| Some((id(key)?, logprob(score)?)));
    let mut entries: Vec<_> = entries.collect::<Option<_>>()?;
    entries.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(a.cmp(b)));
    entries.truncate(top);
    Some(entries)
}

/// `token_id:28` is 28.
fn spelled_id(text: &str) -> Option<u32> {
    text.strip_prefix("token_id:")?.parse().ok()
}

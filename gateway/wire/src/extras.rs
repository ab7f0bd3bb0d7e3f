//! Fields that Lethe does not implement.
//!
//! Harmless ones are accepted and counted by name; a field that would change the answer is refused
//! by name, because a reply that silently ignores it would be a wrong one. Unknown fields are
//! counted as [`OTHER`]: clients add fields faster than servers learn them.

use serde_json::{Value, json};

use crate::RequestError;
use crate::object::Object;
use crate::schema::{self, Field};

/// What an unknown field is counted as.
pub const OTHER: &str = "other";

/// Fields that do not change what the served model answers. `reasoning_effort` is among them
/// because no served model reasons before it answers.
pub const HARMLESS: [&str; 15] = [
    "functions",
    "messages.name",
    "metadata",
    "parallel_tool_calls",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "return_tokens_as_token_ids",
    "safety_identifier",
    "service_tier",
    "store",
    "stream_options.include_obfuscation",
    "tools",
    "user",
];

/// Fields that would change the answer, in OpenAI's, vLLM's and llama.cpp's APIs. Beside them,
/// `tools`, `functions`, `tool_choice`, `function_call` and `modalities` are refused if their value
/// would change the answer.
pub const REFUSED: [&str; 33] = [
    "add_generation_prompt",
    "allowed_token_ids",
    "audio",
    "bad_words",
    "chat_template",
    "chat_template_kwargs",
    "continue_final_message",
    "documents",
    "dry_multiplier",
    "dynatemp_range",
    "grammar",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "include_stop_str_in_output",
    "json_schema",
    "length_penalty",
    "mirostat",
    "prompt_embeds",
    "prompt_logprobs",
    "samplers",
    "skip_special_tokens",
    "structured_outputs",
    "suffix",
    "thinking",
    "top_n_sigma",
    "truncate_prompt_tokens",
    "typical_p",
    "use_beam_search",
    "verbosity",
    "web_search_options",
    "xtc_probability",
];

/// The most modalities that a request may ask for.
const MAX_MODALITIES: usize = 8;

/// Switches among the refused fields that are on if nothing is said; the others are off. To say
/// what is so anyway changes nothing.
const TRUE_BY_DEFAULT: [&str; 2] = ["add_generation_prompt", "skip_special_tokens"];

/// Sorts out all fields that were not taken.
pub(crate) fn take(
    object: &mut Object,
    ignored: &mut Vec<&'static str>,
) -> Result<(), RequestError> {
    take_tools(object, "tools", "tool_choice", ignored)?;
    take_tools(object, "functions", "function_call", ignored)?;
    take_modalities(object)?;
    for (name, value) in object.remaining_values() {
        if REFUSED.contains(&name) && *value != Value::Bool(TRUE_BY_DEFAULT.contains(&name)) {
            return Err(RequestError::unsupported(name));
        }
        ignored.push(HARMLESS.into_iter().find(|known| *known == name).unwrap_or(OTHER));
    }
    Ok(())
}

/// Tools that may not be called are harmless; tools that may are not, and neither is a call that
/// must be made.
fn take_tools(
    object: &mut Object,
    tools: &'static str,
    choice: &'static str,
    ignored: &mut Vec<&'static str>,
) -> Result<(), RequestError> {
    let choice_found = object.take(choice).map(|found| found.value);
    let never = choice_found.as_ref().is_some_and(|value| value == "none");
    if let Some(value) = &choice_found
        && !never
        && value != "auto"
    {
        return Err(RequestError::unsupported(choice));
    }
    let Some(found) = object.take(tools) else { return Ok(()) };
    let Value::Array(items) = &found.value else { return Err(found.type_error("an array")) };
    if !items.is_empty() && !never {
        return Err(RequestError::unsupported(tools));
    }
    ignored.push(tools);
    Ok(())
}

fn take_modalities(object: &mut Object) -> Result<(), RequestError> {
    let Some(items) = object.list("modalities", MAX_MODALITIES)? else { return Ok(()) };
    if items.iter().all(|item| item.value == "text") {
        return Ok(());
    }
    Err(RequestError::unsupported("modalities"))
}

/// What [`take`] takes, as far as it is ignored.
pub(crate) fn fields() -> Vec<Field> {
    let ignored = |schema| schema::about("Accepted and ignored.", schema);
    let uncalled =
        schema::about("Ignored if empty, or if none may be called.", json!({"type": "array"}));
    let mut fields = vec![
        ("tools", uncalled.clone()),
        ("functions", uncalled),
        ("tool_choice", schema::about("`none` or `auto`.", json!({}))),
        ("function_call", schema::about("`none` or `auto`.", json!({}))),
        ("modalities", ignored(schema::list(schema::word("text"), 0, MAX_MODALITIES))),
    ];
    let known: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    let more = HARMLESS.into_iter().filter(|name| !known.contains(name) && !name.contains('.'));
    fields.extend(more.map(|name| (name, ignored(json!({})))));
    fields
}

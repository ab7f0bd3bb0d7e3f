//! How text is to be generated: the fields that chat and plain completions share.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use crate::object::{Located, Object};
use crate::schema::{self, Field, Unknown, about};
use crate::{Fault, RequestError};

/// The most choices a request may ask for.
pub const MAX_CHOICES: usize = 128;
/// The most alternatives reported beside a token.
pub(crate) const MAX_TOP_LOGPROBS: usize = 20;
/// The most stop texts.
pub(crate) const MAX_STOPS: usize = 4;
/// The longest stop text, in bytes.
pub(crate) const MAX_STOP_BYTES: usize = 1_024;
/// The most tokens that `logit_bias` or `stop_token_ids` may name.
pub(crate) const MAX_TOKEN_ITEMS: usize = 1_024;

/// Beyond any context, and so no limit of its own.
const MAX_TOKENS: u32 = i32::MAX.unsigned_abs();

/// How much randomness there may be.
const TEMPERATURE: RangeInclusive<f64> = 0.0..=2.0;
/// Shares of probability.
const SHARE: RangeInclusive<f64> = 0.0..=1.0;
const REPETITION: RangeInclusive<f64> = 0.01..=10.0;
const PENALTY: RangeInclusive<f64> = -2.0..=2.0;
const BIAS: RangeInclusive<f64> = -100.0..=100.0;
const TOP_K: RangeInclusive<i64> = -1..=u32::MAX as i64;
const SEED: RangeInclusive<i64> = i64::MIN..=i64::MAX;
const CHOICES: RangeInclusive<u32> = 1..=MAX_CHOICES as u32;
const LEAST_TOKENS: RangeInclusive<u32> = 0..=MAX_TOKENS;

/// How tokens are drawn and when generation ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// 0 takes the likeliest token.
    pub temperature: f32,
    /// Probability mass that is kept.
    pub top_p: f32,
    /// How many tokens are kept; 0 keeps all.
    pub top_k: usize,
    /// Least probability relative to the likeliest token's.
    pub min_p: f32,
    /// Divides the logits of seen tokens; 1 is off.
    pub repetition_penalty: f32,
    /// Subtracted once for a token in the output.
    pub presence_penalty: f32,
    /// Subtracted for each time a token is in the output.
    pub frequency_penalty: f32,
    /// Added to the logits of these tokens.
    pub logit_bias: Vec<(u32, f32)>,
    /// Same seed, same text; `None` draws one.
    pub seed: Option<u64>,
    /// How many choices.
    pub n: usize,
    /// At most this many new tokens; `None` is up to the context's end.
    pub max_tokens: Option<usize>,
    /// At least this many new tokens.
    pub min_tokens: usize,
    /// Whether the model's end of text is ignored.
    pub ignore_eos: bool,
    /// Texts that end generation.
    pub stop: Vec<String>,
    /// Tokens that end generation.
    pub stop_tokens: Vec<u32>,
}

/// Whether the reply is a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// One body at the end.
    Whole,
    /// Events as they come; with a last one for the usage if `usage` is set.
    Stream {
        /// Whether the usage is wanted.
        usage: bool,
    },
}

impl Options {
    /// Takes the shared fields; `max_names` are the names of the token limit, best first.
    pub(crate) fn take(
        object: &mut Object,
        max_names: &[&str],
        least: u32,
    ) -> Result<Self, RequestError> {
        let options = Self {
            temperature: float(object, "temperature", TEMPERATURE, 1.0)?,
            top_p: float(object, "top_p", SHARE, 1.0)?,
            top_k: take_top_k(object)?,
            min_p: float(object, "min_p", SHARE, 0.0)?,
            repetition_penalty: float(object, "repetition_penalty", REPETITION, 1.0)?,
            presence_penalty: float(object, "presence_penalty", PENALTY, 0.0)?,
            frequency_penalty: float(object, "frequency_penalty", PENALTY, 0.0)?,
            logit_bias: take_logit_bias(object)?,
            seed: object.integer("seed", SEED)?.map(i64::cast_unsigned),
            n: object.count("n", CHOICES)?.unwrap_or(1),
            max_tokens: take_max_tokens(object, max_names, least)?,
            min_tokens: object.count("min_tokens", LEAST_TOKENS)?.unwrap_or(0),
            ignore_eos: object.flag("ignore_eos")?.unwrap_or(false),
            stop: take_stop(object)?,
            stop_tokens: take_stop_tokens(object)?,
        };
        match options.max_tokens {
            Some(limit) if options.min_tokens > limit => {
                Err(RequestError::invalid("min_tokens", "it is above the token limit"))
            }
            Some(_) | None => Ok(options),
        }
    }

    /// What [`Self::take`] takes, with the same names of the token limit.
    pub(crate) fn fields(max_names: &[&'static str], least: u32) -> Vec<Field> {
        let number = |range| schema::number(&range);
        let limit = about("At most this many new tokens.", schema::integer(&(least..=MAX_TOKENS)));
        let mut fields = vec![
            ("temperature", about("0 takes the likeliest token.", number(TEMPERATURE))),
            ("top_p", about("Probability mass that is kept.", number(SHARE))),
            (
                "top_k",
                about("How many tokens are kept; 0 and -1 keep all.", schema::integer(&TOP_K)),
            ),
            ("min_p", about("Least probability relative to the likeliest token's.", number(SHARE))),
            ("repetition_penalty", about("Divides the logits of seen tokens.", number(REPETITION))),
            (
                "presence_penalty",
                about("Subtracted once for a token in the output.", number(PENALTY)),
            ),
            (
                "frequency_penalty",
                about("Subtracted for each time a token is there.", number(PENALTY)),
            ),
            ("logit_bias", about("Added to the logits of tokens, by id.", bias_schema())),
            ("seed", about("Same seed, same text.", schema::integer(&SEED))),
            ("n", about("How many choices.", schema::integer(&CHOICES))),
            ("min_tokens", about("At least this many new tokens.", schema::integer(&LEAST_TOKENS))),
            ("ignore_eos", about("Whether the model's end of text is ignored.", schema::flag())),
            ("stop", about("Texts that end generation.", stop_schema())),
            ("stop_token_ids", {
                let tokens = schema::list(schema::token(), 0, MAX_TOKEN_ITEMS);
                about("Tokens that end generation.", tokens)
            }),
        ];
        fields.extend(max_names.iter().map(|name| (*name, limit.clone())));
        fields
    }
}

fn stop_schema() -> Value {
    let stop = json!({"type": "string", "minLength": 1, "maxLength": MAX_STOP_BYTES});
    schema::any_of(vec![stop.clone(), schema::list(stop, 0, MAX_STOPS)])
}

fn bias_schema() -> Value {
    json!({
        "type": "object",
        "maxProperties": MAX_TOKEN_ITEMS,
        "propertyNames": {"pattern": "^(0|[1-9][0-9]{0,9})$"},
        "additionalProperties": {
            "type": ["number", "null"], "minimum": BIAS.start(), "maximum": BIAS.end()
        },
    })
}

impl Delivery {
    /// Takes `stream` and `stream_options`; the latter's padding is noted as ignored.
    pub(crate) fn take(
        object: &mut Object,
        ignored: &mut Vec<&'static str>,
    ) -> Result<Self, RequestError> {
        let stream = object.flag("stream")?.unwrap_or(false);
        let Some(mut options) = object.object("stream_options")? else {
            return Ok(if stream { Self::Stream { usage: false } } else { Self::Whole });
        };
        if !stream {
            return Err(RequestError::invalid("stream_options", "it needs 'stream': true"));
        }
        let usage = options.flag("include_usage")?.unwrap_or(false);
        if options.flag("include_obfuscation")?.is_some() {
            ignored.push("stream_options.include_obfuscation");
        }
        options.refuse_remaining()?;
        Ok(Self::Stream { usage })
    }

    /// What [`Self::take`] takes.
    pub(crate) fn fields() -> [Field; 2] {
        let optional = vec![
            ("include_usage", about("Whether a last chunk has the usage.", schema::flag())),
            ("include_obfuscation", about("Accepted and ignored.", schema::flag())),
        ];
        let options = schema::object(Vec::new(), optional, Unknown::Refused);
        [
            ("stream", about("Whether the reply is a stream of events.", schema::flag())),
            ("stream_options", about("Needs `stream`.", options)),
        ]
    }
}

fn float(
    object: &mut Object,
    name: &str,
    range: RangeInclusive<f64>,
    default: f32,
) -> Result<f32, RequestError> {
    #[expect(clippy::cast_possible_truncation, reason = "the range is small; f32 is what is used")]
    Ok(object.number(name, range)?.map_or(default, |x| x as f32))
}

/// -1 and 0 both keep all tokens, as in vLLM and llama.cpp.
fn take_top_k(object: &mut Object) -> Result<usize, RequestError> {
    let k = object.integer("top_k", TOP_K)?.unwrap_or(0);
    Ok(usize::try_from(k).unwrap_or(0))
}

fn take_max_tokens(
    object: &mut Object,
    names: &[&str],
    least: u32,
) -> Result<Option<usize>, RequestError> {
    let mut limit = None;
    for name in names {
        let value = object.count(name, least..=MAX_TOKENS)?;
        limit = limit.or(value);
    }
    Ok(limit)
}

fn take_stop(object: &mut Object) -> Result<Vec<String>, RequestError> {
    let Some(found) = object.take("stop") else { return Ok(Vec::new()) };
    let stops = if found.value.is_array() { found.into_list(MAX_STOPS)? } else { vec![found] };
    stops.into_iter().map(into_stop).collect()
}

fn into_stop(found: Located) -> Result<String, RequestError> {
    let path = found.path.clone();
    let stop = found.into_text()?;
    if stop.is_empty() {
        return Err(RequestError::invalid(path, "a stop text is empty"));
    }
    if stop.len() > MAX_STOP_BYTES {
        return Err(RequestError::at(
            path,
            Fault::TooMany { limit: MAX_STOP_BYTES, what: "bytes" },
        ));
    }
    Ok(stop)
}

fn take_stop_tokens(object: &mut Object) -> Result<Vec<u32>, RequestError> {
    let items = object.list("stop_token_ids", MAX_TOKEN_ITEMS)?.unwrap_or_default();
    items.into_iter().map(Located::into_token).collect()
}

fn take_logit_bias(object: &mut Object) -> Result<Vec<(u32, f32)>, RequestError> {
    let Some(mut biases) = object.object("logit_bias")? else { return Ok(Vec::new()) };
    let names: Vec<String> = biases.remaining().map(str::to_owned).collect();
    if names.len() > MAX_TOKEN_ITEMS {
        let fault = Fault::TooMany { limit: MAX_TOKEN_ITEMS, what: "tokens" };
        return Err(RequestError::at("logit_bias", fault));
    }
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let token = name
            .parse()
            .ok()
            .filter(|id: &u32| id.to_string() == name)
            .ok_or_else(|| RequestError::invalid("logit_bias", "its keys must be token ids"))?;
        found.push((token, float(&mut biases, &name, BIAS, 0.0)?));
    }
    Ok(found)
}

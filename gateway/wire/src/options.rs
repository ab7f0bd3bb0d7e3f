//! How text is to be generated: the fields that chat and plain completions share.

use crate::object::{Located, Object};
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
            temperature: float(object, "temperature", 0.0, 2.0, 1.0)?,
            top_p: float(object, "top_p", 0.0, 1.0, 1.0)?,
            top_k: take_top_k(object)?,
            min_p: float(object, "min_p", 0.0, 1.0, 0.0)?,
            repetition_penalty: float(object, "repetition_penalty", 0.01, 10.0, 1.0)?,
            presence_penalty: float(object, "presence_penalty", -2.0, 2.0, 0.0)?,
            frequency_penalty: float(object, "frequency_penalty", -2.0, 2.0, 0.0)?,
            logit_bias: take_logit_bias(object)?,
            seed: object.integer("seed", i64::MIN..=i64::MAX)?.map(i64::cast_unsigned),
            n: object.count("n", 1..=128)?.unwrap_or(1),
            max_tokens: take_max_tokens(object, max_names, least)?,
            min_tokens: object.count("min_tokens", 0..=MAX_TOKENS)?.unwrap_or(0),
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
}

fn float(
    object: &mut Object,
    name: &str,
    low: f64,
    high: f64,
    default: f32,
) -> Result<f32, RequestError> {
    #[expect(clippy::cast_possible_truncation, reason = "the range is small; f32 is what is used")]
    Ok(object.number(name, low..=high)?.map_or(default, |x| x as f32))
}

/// -1 and 0 both keep all tokens, as in vLLM and llama.cpp.
fn take_top_k(object: &mut Object) -> Result<usize, RequestError> {
    let k = object.integer("top_k", -1..=i64::from(u32::MAX))?.unwrap_or(0);
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
        found.push((token, float(&mut biases, &name, -100.0, 100.0, 0.0)?));
    }
    Ok(found)
}

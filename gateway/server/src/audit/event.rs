//! What the log says: events, each a JSON object. No text of a prompt or an answer is in any.

use std::collections::BTreeMap;

use gateway_wire::AppliedAdapter;
use serde::Serialize;

use super::chain::Link;

/// What happened. `key` is the id of the API key, absent if none was asked for or it is unknown.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// A file begins; the first record of each, and only that.
    Opened { previous: Link },
    /// The last line was unfinished, as a crash leaves it, and was taken away.
    Recovered { cut_bytes: u64 },
    /// The gateway has started.
    Started { version: &'static str },
    /// The model is loaded, and these adapters with it.
    Serving { model: String, adapters: Vec<Loaded> },
    /// A request reached generation, or was refused because of its key or its key's rules.
    Request(Box<Request>),
    /// An adapter was loaded, swapped or taken away.
    Adapter(Box<AdapterChange>),
    /// Who may change adapters asked for a change that was refused, or failed.
    AdapterRefused(Box<AdapterRefusal>),
    /// Other keys count from here on.
    KeysLoaded(KeysChange),
    /// The key file has changed and cannot be used.
    KeysRefused {},
    /// So many records were lost before this one: there was no place for them.
    Gap { lost: u64 },
    /// The gateway ends as it should.
    Stopped {},
}

/// An adapter as it is loaded.
#[derive(Debug, Serialize)]
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) digest: String,
}

/// A request's record.
#[derive(Debug, Serialize)]
pub(crate) struct Request {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    pub(crate) route: String,
    pub(crate) status: u16,
    /// The error's code, in a stream too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'static str>,
    /// From the request's arrival to the answer's last byte.
    pub(crate) seconds: f64,
    /// What was generated, if it came to that.
    #[serde(flatten)]
    pub(crate) generated: Option<Generated>,
}

/// What was generated for a request.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Generated {
    pub(crate) model: String,
    /// The adapter vector.
    pub(crate) adapters: Vec<AppliedAdapter>,
    pub(crate) prompt_tokens: usize,
    pub(crate) completion_tokens: usize,
    /// How many answers ended for which reason; those that were given up are in none.
    pub(crate) finish: BTreeMap<&'static str, usize>,
    pub(crate) moderation: Verdicts,
}

/// What moderation said; absent where nothing was moderated.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Verdicts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<Verdict>,
}

/// What moderation said of all prompts, or of all answers, as far as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    /// The categories whose threshold was reached.
    pub(crate) flagged: Vec<&'static str>,
    /// Whether one was withheld or cut short.
    pub(crate) blocked: bool,
    /// Whether one could not be scored.
    pub(crate) unscored: bool,
}

/// A change of an adapter.
#[derive(Debug, Serialize)]
pub(crate) struct AdapterChange {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    pub(crate) change: Change,
    pub(crate) name: String,
    /// What the name stood for before, and stands for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
}

/// A change of an adapter that was not made.
#[derive(Debug, Serialize)]
pub(crate) struct AdapterRefusal {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    pub(crate) route: String,
    pub(crate) status: u16,
    /// The error's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'static str>,
    /// Which adapter, if the request names one as they can be named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// What the name goes on to stand for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
}

/// What was done with an adapter's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Load,
    Swap,
    Unload,
}

/// The ids of keys.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct KeysChange {
    pub(crate) keys: usize,
    pub(crate) added: Vec<String>,
    /// With another secret, other scopes, rules, rates or another end.
    pub(crate) changed: Vec<String>,
    pub(crate) removed: Vec<String>,
}

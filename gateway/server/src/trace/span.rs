//! Spans, as they are told to whoever collects them.

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::time::Duration;

use gateway_engine::TraceContext;

/// Something that was done, and took some time.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Its trace and its own id.
    pub(super) place: TraceContext,
    pub(super) parent: Parent,
    /// Since 1970.
    pub(super) began: Duration,
    pub(super) ended: Duration,
    pub(super) attributes: Attributes,
    pub(super) events: Vec<Event>,
    /// Whether it failed for reasons that are ours.
    pub(super) failed: bool,
}

/// How a span stands to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It answers whoever made the parent.
    Server,
    /// It is part of the parent.
    Internal,
}

/// The span that another belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent {
    None,
    /// One of this process.
    Here(NonZeroU64),
    /// One of the caller's.
    Caller(NonZeroU64),
}

/// Something that became known during a span.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) name: &'static str,
    /// Since 1970.
    pub(super) at: Duration,
    pub(super) attributes: Attributes,
}

/// What is said of a span or an event.
#[derive(Debug, Default)]
pub(super) struct Attributes(pub(super) Vec<(&'static str, Value)>);

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Flag(bool),
    Integer(i64),
    Number(f64),
    Text(Cow<'static, str>),
    Texts(Vec<&'static str>),
}

impl Attributes {
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push((name, value.into()));
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// The number that people write for it: 0.9, and not 0.8999999761581421.
impl From<f32> for Value {
    fn from(number: f32) -> Self {
        Self::Number(number.to_string().parse().unwrap_or_else(|_| number.into()))
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

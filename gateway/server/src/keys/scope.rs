//! What a key may be good for.

use std::fmt;

/// A permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// To generate, moderate, tokenize, and list models and adapters.
    Infer,
    /// To load, swap and unload adapters, and to list them.
    AdaptersWrite,
    /// To read metrics.
    Metrics,
}

impl Scope {
    pub(crate) const ALL: [Self; 3] = [Self::Infer, Self::AdaptersWrite, Self::Metrics];

    /// How it is written.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::AdaptersWrite => "adapters:write",
            Self::Metrics => "metrics",
        }
    }

    /// Reads what [`Self::as_str`] writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

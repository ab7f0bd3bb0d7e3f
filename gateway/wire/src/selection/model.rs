//! The model's name as a choice of adapters.

use super::{Selection, SelectionError, text};

/// What stands between the base model's name and its suffix.
const MARK: &str = "::";

/// What a request's `model` says.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelChoice {
    /// The base model, and nothing about adapters.
    Base,
    /// The base model with these adapters: `base::gender+race@0.5`.
    Suffix(Selection),
    /// The name of an adapter or a preset, if there is one.
    Alias(String),
}

impl ModelChoice {
    /// Reads `model`; `None` if it can be no model's name.
    ///
    /// # Errors
    /// [`SelectionError`] if it is the base model's name with a suffix that is not of the grammar.
    pub fn parse(model: &str, base: &str) -> Result<Option<Self>, SelectionError> {
        if model == base {
            return Ok(Some(Self::Base));
        }
        if let Some(suffix) = model.strip_prefix(base).and_then(|rest| rest.strip_prefix(MARK)) {
            return Selection::parse_suffix(suffix).map(Self::Suffix).map(Some);
        }
        Ok(text::parse_name(model).ok().map(Self::Alias))
    }
}

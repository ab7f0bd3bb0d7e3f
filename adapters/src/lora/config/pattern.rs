//! PEFT's `rank_pattern` and `alpha_pattern`: values for some modules.
//!
//! PEFT reads each key as the regular expression `(.*\.)?(KEY)$` over a module's path. Keys that
//! are plain module paths, which is what PEFT itself writes, mean a suffix after a dot; other
//! regular expressions are refused.

use model::Site;
use serde_json::Value;

use super::PeftConfigError;

/// Values by module.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern<T> {
    field: &'static str,
    values: Vec<(String, T)>,
}

/// Reads one value of the field that is named.
type Reader<T> = fn(Option<&Value>, &'static str) -> Result<T, PeftConfigError>;

impl<T: Copy + PartialEq> Pattern<T> {
    pub(super) fn parse(
        field: &'static str,
        value: Option<Value>,
        read: Reader<T>,
    ) -> Result<Self, PeftConfigError> {
        let members = match value {
            None | Some(Value::Null) => serde_json::Map::new(),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(PeftConfigError::Value(field)),
        };
        let values = members
            .into_iter()
            .map(|(pattern, value)| {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
                if !pattern.strip_prefix('^').unwrap_or(&pattern).chars().all(plain) {
                    return Err(PeftConfigError::Pattern { field, pattern });
                }
                Ok((pattern, read(Some(&value), field)?))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { field, values })
    }

    /// The value for `site`, if one is given.
    ///
    /// PEFT takes the first of several keys that match; a reader of JSON need not keep their
    /// order, so keys that disagree are refused.
    pub(super) fn value(&self, site: Site) -> Result<Option<T>, PeftConfigError> {
        let mut matches = self.values.iter().filter(|(key, _)| matches(site, key)).map(|(_, v)| *v);
        let first = matches.next();
        if matches.all(|value| Some(value) == first) {
            Ok(first)
        } else {
            Err(PeftConfigError::Ambiguous { field: self.field, site })
        }
    }
}

fn matches(site: Site, key: &str) -> bool {
    match key.strip_prefix('^') {
        Some(path) => site.path() == path,
        None => ends_with(site, key),
    }
}

/// Whether `suffix` is the path of `site` or its end after a dot.
pub(super) fn ends_with(site: Site, suffix: &str) -> bool {
    let path = site.path();
    path.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

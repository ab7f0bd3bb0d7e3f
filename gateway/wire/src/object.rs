//! A strict reader of JSON objects.
//!
//! Fields are taken one by one, each with its type and range, so that every fault names its
//! parameter and what remains at the end is known to be unknown. `null` is the same as absent, as
//! in OpenAI's own API.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::{Fault, RequestError};

/// A JSON object that is being read.
#[derive(Debug)]
pub(crate) struct Object {
    fields: Map<String, Value>,
    path: String,
}

/// A value and the path it stands at.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) value: Value,
    pub(crate) path: String,
}

impl Object {
    /// Reads a body.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        let text = std::str::from_utf8(bytes).map_err(|_| RequestError::body(Fault::NotUtf8))?;
        let value = serde_json::from_str(text).map_err(|error| syntax_fault(&error))?;
        Located { value, path: String::new() }.into_object()
    }

    /// The path of field `name`.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Takes a field of any type.
    pub(crate) fn take(&mut self, name: &str) -> Option<Located> {
        match self.fields.remove(name) {
            None | Some(Value::Null) => None,
            Some(value) => Some(Located { value, path: self.path(name) }),
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, RequestError> {
        self.take(name).map(Located::into_text).transpose()
    }

    pub(crate) fn required_text(&mut self, name: &str) -> Result<String, RequestError> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, RequestError> {
        let Some(found) = self.take(name) else { return Ok(None) };
        found.value.as_bool().map(Some).ok_or_else(|| found.type_error("a boolean"))
    }

    pub(crate) fn integer(
        &mut self,
        name: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, RequestError> {
        self.take(name).map(|found| found.into_integer(range)).transpose()
    }

    /// A count; the range is one of non-negative numbers.
    pub(crate) fn count(
        &mut self,
        name: &str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<usize>, RequestError> {
        let range = i64::from(*range.start())..=i64::from(*range.end());
        Ok(self.integer(name, range)?.and_then(|n| usize::try_from(n).ok()))
    }

    pub(crate) fn number(
        &mut self,
        name: &str,
        range: RangeInclusive<f64>,
    ) -> Result<Option<f64>, RequestError> {
        self.take(name).map(|found| found.into_number(range)).transpose()
    }

    pub(crate) fn list(
        &mut self,
        name: &str,
        limit: usize,
    ) -> Result<Option<Vec<Located>>, RequestError> {
        self.take(name).map(|found| found.into_list(limit)).transpose()
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, RequestError> {
        self.take(name).map(Located::into_object).transpose()
    }

    /// A field that must be there is not.
    pub(crate) fn missing(&self, name: &str) -> RequestError {
        RequestError::at(self.path(name), Fault::Missing)
    }

    /// Names of the fields that were not taken and are not null.
    pub(crate) fn remaining(&self) -> impl Iterator<Item = &str> {
        self.remaining_values().map(|(name, _)| name)
    }

    /// The fields that were not taken and are not null.
    pub(crate) fn remaining_values(&self) -> impl Iterator<Item = (&str, &Value)> {
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value));
        fields.filter(|(_, value)| !value.is_null())
    }

    /// Refuses what was not taken.
    pub(crate) fn refuse_remaining(&self) -> Result<(), RequestError> {
        match self.remaining().next() {
            None => Ok(()),
            // The name is the client's own and may be long: only its path's parent is quoted.
            Some(_) if self.path.is_empty() => {
                Err(RequestError::body(Fault::Invalid("the body has an unknown field".to_owned())))
            }
            Some(_) => Err(RequestError::invalid(self.path.clone(), "it has an unknown field")),
        }
    }
}

impl Located {
    /// The value is of another type. An empty path is the body's.
    pub(crate) fn type_error(&self, expected: &'static str) -> RequestError {
        let fault = type_fault(expected, &self.value);
        RequestError { param: (!self.path.is_empty()).then(|| self.path.clone()), fault }
    }

    pub(crate) fn into_text(self) -> Result<String, RequestError> {
        let Value::String(text) = self.value else { return Err(self.type_error("a string")) };
        Ok(text)
    }

    pub(crate) fn into_object(self) -> Result<Object, RequestError> {
        let Value::Object(fields) = self.value else { return Err(self.type_error("an object")) };
        Ok(Object { fields, path: self.path })
    }

    pub(crate) fn into_list(self, limit: usize) -> Result<Vec<Self>, RequestError> {
        let Value::Array(items) = self.value else { return Err(self.type_error("an array")) };
        if items.len() > limit {
            return Err(RequestError::at(self.path, Fault::TooMany { limit, what: "items" }));
        }
        let located = |(i, value)| Self { value, path: format!("{}[{i}]", self.path) };
        Ok(items.into_iter().enumerate().map(located).collect())
    }

    pub(crate) fn into_integer(self, range: RangeInclusive<i64>) -> Result<i64, RequestError> {
        let whole = |x: f64| x.fract() == 0.0 && x.abs() < 9e15;
        let number = match &self.value {
            Value::Number(n) => n.as_i64().or_else(|| {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "checked to be whole and small"
                )]
                n.as_f64().filter(|x| whole(*x)).map(|x| x as i64)
            }),
            Value::Null
            | Value::Bool(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => return Err(self.type_error("an integer")),
        };
        match number {
            Some(n) if range.contains(&n) => Ok(n),
            // Beyond i64 or out of range; a fraction is a wrong type.
            None if self.value.as_f64().is_some_and(|x| x.fract() != 0.0) => {
                Err(self.type_error("an integer"))
            }
            Some(_) | None => {
                #[expect(clippy::cast_precision_loss, reason = "for a message")]
                let (low, high) = (*range.start() as f64, *range.end() as f64);
                Err(RequestError::at(self.path, Fault::Range { low, high }))
            }
        }
    }

    pub(crate) fn into_number(self, range: RangeInclusive<f64>) -> Result<f64, RequestError> {
        let number = self.value.as_f64().ok_or_else(|| self.type_error("a number"))?;
        if number.is_finite() && range.contains(&number) {
            return Ok(number);
        }
        let (low, high) = range.into_inner();
        Err(RequestError::at(self.path, Fault::Range { low, high }))
    }

    /// A token id.
    pub(crate) fn into_token(self) -> Result<u32, RequestError> {
        let id = self.into_integer(0..=i64::from(u32::MAX))?;
        // The range is checked, so the conversion cannot fail.
        Ok(u32::try_from(id).unwrap_or(u32::MAX))
    }
}

fn syntax_fault(error: &serde_json::Error) -> RequestError {
    let message = error.to_string();
    RequestError::body(if message.starts_with("recursion limit exceeded") {
        Fault::TooDeep
    } else {
        Fault::NotJson(message)
    })
}

const fn type_fault(expected: &'static str, found: &Value) -> Fault {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Fault::Type { expected, found }
}

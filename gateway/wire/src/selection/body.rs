//! The body's ways to choose: `adapters`, and llama.cpp's `lora`.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::{Item, MAX_ITEMS, Selection, SelectionError, Target, text};
use crate::object::{Located, Object};
use crate::schema::{self, Field, Unknown, about};
use crate::{Fault, RequestError};

/// What can be a scale at all.
const SCALES: RangeInclusive<f64> = f32::MIN as f64..=f32::MAX as f64;

impl Selection {
    /// Takes the body's choice, if it makes one.
    pub(crate) fn take(object: &mut Object) -> Result<Option<Self>, RequestError> {
        let adapters = take_list(object, "adapters", into_named)?;
        let lora = take_list(object, "lora", into_lora)?;
        if adapters.is_some() && lora.is_some() {
            return Err(RequestError::invalid("lora", "it cannot stand beside 'adapters'"));
        }
        Ok(adapters.or(lora))
    }

    /// What [`Self::take`] takes.
    pub(crate) fn fields() -> [Field; 2] {
        let scale = || ("scale", schema::number(&SCALES));
        let name = || ("name", schema::adapter_name());
        let object = |required, optional| schema::object(required, optional, Unknown::Refused);
        let scaled = object(vec![name()], vec![scale()]);
        let named = schema::any_of(vec![schema::adapter_name(), scaled]);
        let indexed = object(vec![("id", schema::token()), scale()], Vec::new());
        let lora = schema::any_of(vec![indexed, object(vec![name(), scale()], Vec::new())]);
        [
            (
                "adapters",
                about("Adapters and presets, by name.", schema::list(named, 0, MAX_ITEMS)),
            ),
            ("lora", about("The same in llama.cpp's words.", schema::list(lora, 0, MAX_ITEMS))),
        ]
    }
}

fn take_list(
    object: &mut Object,
    field: &'static str,
    into_item: fn(Located) -> Result<Item, RequestError>,
) -> Result<Option<Selection>, RequestError> {
    let Some(items) = object.list(field, MAX_ITEMS)? else { return Ok(None) };
    let items = items.into_iter().map(into_item).collect::<Result<_, _>>()?;
    let selection = Selection::checked(items);
    selection.map(Some).map_err(|error| RequestError::invalid(field, error.to_string()))
}

/// `"gender"` or `{"name": "gender", "scale": 0.5}`.
fn into_named(item: Located) -> Result<Item, RequestError> {
    match item.value {
        Value::String(_) => {
            let path = item.path.clone();
            Ok(Item { target: named(&item.into_text()?, path)?, scale: 1.0 })
        }
        Value::Object(_) => {
            let mut object = item.into_object()?;
            let target = named(&object.required_text("name")?, object.path("name"))?;
            let scale = take_scale(&mut object)?.unwrap_or(1.0);
            object.refuse_remaining()?;
            Ok(Item { target, scale })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            Err(item.type_error("a name or an object with a name"))
        }
    }
}

/// `{"id": 0, "scale": 0.5}` or `{"name": "gender", "scale": 0.5}`.
fn into_lora(item: Located) -> Result<Item, RequestError> {
    let mut object = item.into_object()?;
    let index = object.integer("id", 0..=i64::from(u32::MAX))?;
    let name = object.text("name")?;
    let target = match (index.and_then(|i| usize::try_from(i).ok()), name) {
        (Some(index), None) => Target::Indexed(index),
        (None, Some(name)) => named(&name, object.path("name"))?,
        (None, None) => return Err(object.missing("id")),
        (Some(_), Some(_)) => {
            return Err(RequestError::invalid(object.path("name"), "it cannot stand beside 'id'"));
        }
    };
    let scale = take_scale(&mut object)?.ok_or_else(|| object.missing("scale"))?;
    object.refuse_remaining()?;
    Ok(Item { target, scale })
}

fn named(name: &str, path: String) -> Result<Target, RequestError> {
    let fault = |error: SelectionError| RequestError::at(path, Fault::Invalid(error.to_string()));
    text::parse_name(name).map(Target::Named).map_err(fault)
}

/// Any finite number here; the configured bounds are checked after presets are expanded.
fn take_scale(object: &mut Object) -> Result<Option<f32>, RequestError> {
    #[expect(clippy::cast_possible_truncation, reason = "the range is f32's")]
    Ok(object.number("scale", SCALES)?.map(|x| x as f32))
}

//! Named sets of adapters.

use std::collections::BTreeMap;

use gateway_wire::Selection;
use gateway_wire::selection::ScaleBounds;

/// Named sets of adapters.
pub type Presets = BTreeMap<String, Selection>;

/// Reads a table of tables from adapter names to scales.
///
/// # Errors
/// What is wrong with which preset, of all that are wrong.
pub(crate) fn read_presets(
    table: toml::Table,
    bounds: ScaleBounds,
) -> Result<Presets, Vec<(String, String)>> {
    let mut presets = Presets::new();
    let mut faults = Vec::new();
    for (name, value) in table {
        match preset(&name, &value, bounds) {
            Ok(selection) => drop(presets.insert(name, selection)),
            Err(what) => faults.push((name, what)),
        }
    }
    let inner = |preset: &Selection| preset.names().any(|name| presets.contains_key(name));
    for (name, _) in presets.iter().filter(|(_, preset)| inner(preset)) {
        faults.push((name.clone(), "a preset cannot name a preset".to_owned()));
    }
    if faults.is_empty() { Ok(presets) } else { Err(faults) }
}

fn preset(name: &str, value: &toml::Value, bounds: ScaleBounds) -> Result<Selection, String> {
    Selection::from_named([(name, 1.0)]).map_err(|error| error.to_string())?;
    let scales = value.as_table().ok_or("it must be a table from adapter names to scales")?;
    let mut named = Vec::with_capacity(scales.len());
    for (adapter, scale) in scales {
        #[expect(clippy::cast_possible_truncation, reason = "scales are f32")]
        #[expect(clippy::cast_precision_loss, reason = "whole scales are small")]
        let scale = match scale {
            toml::Value::Float(number) => *number as f32,
            toml::Value::Integer(number) => *number as f32,
            toml::Value::String(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_)
            | toml::Value::Table(_) => return Err(format!("the scale of {adapter} is no number")),
        };
        if !(bounds.low..=bounds.high).contains(&scale) {
            return Err(format!("the scale of {adapter} is out of bounds"));
        }
        named.push((adapter.as_str(), scale));
    }
    Selection::from_named(named).map_err(|error| error.to_string())
}

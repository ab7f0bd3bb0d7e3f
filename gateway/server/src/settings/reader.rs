//! From text in layers to typed values, with all faults on the way.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use gateway_engine::upstream::Server;
use gateway_toxicity::Category;
use gateway_wire::Selection;
use gateway_wire::selection::ScaleBounds;

use super::origins::Origins;
use super::presets::{Presets, read_presets};
use super::{KEYS, Layers, SettingsError};

/// The longest time that can be set.
const MAX_SECONDS: f64 = 86_400.0;

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Default,
    File,
    Environment,
    Flag,
}

/// A key, its value and where that came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    pub name: &'static str,
    pub value: String,
    pub source: Source,
}

/// The layers put together, and the faults so far.
pub(super) struct Reader {
    values: BTreeMap<&'static str, (String, Source)>,
    presets: toml::Table,
    faults: Vec<String>,
}

impl Reader {
    pub(super) fn new(layers: Layers) -> Self {
        let defaults = KEYS.iter().map(|key| (key.name, (key.default.to_owned(), Source::Default)));
        let mut reader =
            Self { values: defaults.collect(), presets: toml::Table::new(), faults: Vec::new() };
        if let Some(text) = layers.file {
            match text.parse::<toml::Table>() {
                Ok(table) => reader.add_file(table),
                Err(error) => reader.faults.push(format!("the settings file: {}", error.message())),
            }
        }
        reader.add(layers.environment, Source::Environment);
        reader.add(layers.flags, Source::Flag);
        reader
    }

    fn add(&mut self, pairs: Vec<(&'static str, String)>, source: Source) {
        self.values.extend(pairs.into_iter().map(|(name, value)| (name, (value, source))));
    }

    fn add_file(&mut self, mut table: toml::Table) {
        match table.remove("presets") {
            None => {}
            Some(toml::Value::Table(presets)) => self.presets = presets,
            Some(_) => self.faults.push("presets (file): it must be a table".to_owned()),
        }
        for (name, value) in table {
            if let Some(inner) = value.as_table() {
                for (key, value) in inner {
                    self.add_file_value(&format!("{name}.{key}"), value);
                }
            } else {
                self.add_file_value(&name, &value);
            }
        }
    }

    fn add_file_value(&mut self, name: &str, value: &toml::Value) {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            self.faults.push(format!("{name} (file): there is no such key"));
            return;
        };
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
                self.faults.push(format!("{name} (file): it must be a text, number or boolean"));
                return;
            }
        };
        self.values.insert(key.name, (text, Source::File));
    }

    /// Notes a fault of `name`'s value.
    pub(super) fn fault(&mut self, name: &'static str, what: &str) {
        let source = self.values.get(name).map_or(Source::Default, |(_, source)| *source);
        self.faults.push(format!("{name} ({source}): {what}"));
    }

    pub(super) fn text(&self, name: &'static str) -> String {
        self.values.get(name).map(|(value, _)| value.clone()).unwrap_or_default()
    }

    /// Reads a value; `what` describes those that are taken. After a fault the value does not
    /// matter, since no settings come out.
    fn parse<T>(
        &mut self,
        name: &'static str,
        what: &str,
        fallback: T,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let parsed = parse(&self.text(name));
        parsed.unwrap_or_else(|| {
            self.fault(name, &format!("it must be {what}"));
            fallback
        })
    }

    pub(super) fn path(&self, name: &'static str) -> Option<PathBuf> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    pub(super) fn address(&mut self, name: &'static str) -> SocketAddr {
        let fallback = SocketAddr::from(([127, 0, 0, 1], 0));
        self.parse(name, "an address and a port, such as 127.0.0.1:8080", fallback, |text| {
            text.parse().ok()
        })
    }

    pub(super) fn count(&mut self, name: &'static str, range: RangeInclusive<usize>) -> usize {
        let what = format!("a whole number from {} to {}", range.start(), range.end());
        self.parse(name, &what, *range.start(), |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    }

    /// A count, or nothing.
    pub(super) fn optional_count(
        &mut self,
        name: &'static str,
        range: RangeInclusive<usize>,
    ) -> Option<usize> {
        (!self.text(name).is_empty()).then(|| self.count(name, range))
    }

    pub(super) fn number(&mut self, name: &'static str) -> f32 {
        let finite = |number: &f32| number.is_finite();
        self.parse(name, "a number", 0.0, |text| text.parse().ok().filter(finite))
    }

    pub(super) fn share(&mut self, name: &'static str) -> f64 {
        let share = |number: &f64| (0.0..=1.0).contains(number);
        self.parse(name, "a number from 0 to 1", 0.0, |text| text.parse().ok().filter(share))
    }

    pub(super) fn seconds(&mut self, name: &'static str) -> Duration {
        let what = format!("a number of seconds from 0 to {MAX_SECONDS}");
        self.parse(name, &what, Duration::ZERO, |text| {
            let seconds = text.parse().ok().filter(|s| (0.0..=MAX_SECONDS).contains(s))?;
            Some(Duration::from_secs_f64(seconds))
        })
    }

    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        self.parse(name, "true or false", false, |text| text.parse().ok())
    }

    pub(super) fn one_of<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> T {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let what = format!("one of {}", words.join(", "));
        self.parse(name, &what, choices[0].1, |text| {
            choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice)
        })
    }

    pub(super) fn selection(&mut self, name: &'static str) -> Selection {
        self.parse(name, "written like gender,race=0.5", Selection::default(), |text| {
            Selection::parse_header(text).ok()
        })
    }

    pub(super) fn origins(&mut self, name: &'static str) -> Origins {
        let what = "* or origins such as https://a.example,http://localhost:3000";
        self.parse(name, what, Origins::None, Origins::parse)
    }

    /// Servers, each with a weight if it has one.
    pub(super) fn servers(&mut self, name: &'static str) -> Vec<Server> {
        let text = self.text(name);
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let servers: Result<Vec<Server>, _> = items.map(str::parse).collect();
        servers.unwrap_or_else(|error| {
            self.fault(name, &error.to_string());
            Vec::new()
        })
    }

    /// Scores of categories.
    pub(super) fn thresholds(&mut self, name: &'static str) -> Vec<(Category, f32)> {
        let what = "written like toxicity=0.9,bias/gender=0.8, with each category once";
        self.parse(name, what, Vec::new(), parse_thresholds)
    }

    /// The file's presets.
    pub(super) fn presets(&mut self, bounds: ScaleBounds) -> Presets {
        read_presets(std::mem::take(&mut self.presets), bounds).unwrap_or_else(|faults| {
            self.faults.extend(
                faults.into_iter().map(|(name, what)| format!("presets.{name} (file): {what}")),
            );
            Presets::new()
        })
    }

    /// The effective values, if there was no fault.
    pub(super) fn finish(self) -> Result<Vec<Effective>, SettingsError> {
        if !self.faults.is_empty() {
            return Err(SettingsError { faults: self.faults });
        }
        let effective = |(name, (value, source))| Effective { name, value, source };
        Ok(self.values.into_iter().map(effective).collect())
    }
}

fn parse_thresholds(text: &str) -> Option<Vec<(Category, f32)>> {
    let mut thresholds: Vec<(Category, f32)> = Vec::new();
    for item in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
        let (name, value) = item.split_once('=')?;
        let category = Category::parse(name.trim())?;
        let threshold = value.trim().parse().ok().filter(|t| (0.0..=1.0).contains(t))?;
        if thresholds.iter().any(|(known, _)| *known == category) {
            return None;
        }
        thresholds.push((category, threshold));
    }
    Some(thresholds)
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

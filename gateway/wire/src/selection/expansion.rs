//! From what a request names to the weighted set that applies.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Selection, SelectionError, Target};

/// Where names are looked up.
pub trait Directory {
    /// The preset called `name`. A preset names adapters only, never presets.
    fn preset(&self, name: &str) -> Option<&Selection>;

    /// The adapter at `index` of all loaded ones, sorted by name.
    fn adapter_at(&self, index: usize) -> Option<String>;
}

/// The scales that requests may ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScaleBounds {
    /// Least.
    pub low: f32,
    /// Greatest.
    pub high: f32,
}

/// A weighted set of adapters: each name once, sorted. The canonical form of any choice.
///
/// A scale of 0 is kept, so that its name can be looked up: what does not exist cannot be switched
/// off either.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mix {
    scales: BTreeMap<String, f32>,
}

impl Selection {
    /// The set that this choice stands for. Presets are replaced by what they hold, times their
    /// scale; a name that comes up more than once through presets adds up.
    ///
    /// # Errors
    /// [`SelectionError::Scale`] if a scale, as given or after the sum, is not within `bounds`;
    /// [`SelectionError::UnknownIndex`] if an index is none of the directory's.
    pub fn expand(
        &self,
        directory: &impl Directory,
        bounds: ScaleBounds,
    ) -> Result<Mix, SelectionError> {
        let mut sums: BTreeMap<String, f64> = BTreeMap::new();
        for (name, scale) in self.by_name(directory)? {
            bounds.check(&name, scale)?;
            let scale = f64::from(scale);
            match directory.preset(&name) {
                None => *sums.entry(name).or_default() += scale,
                Some(preset) => {
                    for (name, inner) in preset.by_name(directory)? {
                        *sums.entry(name).or_default() += scale * f64::from(inner);
                    }
                }
            }
        }
        let mut mix = Mix::default();
        for (name, sum) in sums {
            #[expect(clippy::cast_possible_truncation, reason = "scales are f32; sums are rounded")]
            let scale = sum as f32;
            bounds.check(&name, scale)?;
            mix.scales.insert(name, scale);
        }
        Ok(mix)
    }

    /// The items with indices replaced by names.
    fn by_name(&self, directory: &impl Directory) -> Result<BTreeMap<String, f32>, SelectionError> {
        let mut scales = BTreeMap::new();
        for item in &self.items {
            let name = match &item.target {
                Target::Named(name) => name.clone(),
                Target::Indexed(index) => {
                    directory.adapter_at(*index).ok_or(SelectionError::UnknownIndex(*index))?
                }
            };
            if scales.insert(name.clone(), item.scale).is_some() {
                return Err(SelectionError::Twice(name));
            }
        }
        Ok(scales)
    }
}

impl ScaleBounds {
    fn check(self, name: &str, scale: f32) -> Result<(), SelectionError> {
        // NaN is in no range.
        if (self.low..=self.high).contains(&scale) {
            return Ok(());
        }
        Err(SelectionError::Scale { name: name.to_owned(), bounds: self })
    }
}

impl Mix {
    /// All names with their scales, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f32)> {
        self.scales.iter().map(|(name, scale)| (name.as_str(), *scale))
    }

    /// Sees to it that `name` is there with a scale of at least `least`.
    pub fn raise(&mut self, name: &str, least: f32) {
        let scale = self.scales.entry(name.to_owned()).or_insert(least);
        *scale = scale.max(least);
    }

    /// The canonical text, in the header's grammar: what applies, sorted, scale 1 left out.
    #[must_use]
    pub fn header(&self) -> String {
        let mut text = String::new();
        for (name, scale) in self.iter().filter(|(_, scale)| *scale != 0.0) {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}{name}");
            if scale != 1.0 {
                let _ = write!(text, "={scale}");
            }
        }
        text
    }
}

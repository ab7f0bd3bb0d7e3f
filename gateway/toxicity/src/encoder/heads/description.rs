//! `heads.json`.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::HeadsError;
use crate::{Category, WindowShape};

/// The most numbers in a vector or a hidden layer.
const LARGEST: usize = 16_384;

/// What heads are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// 1.
    pub schema: u32,
    /// Name and version, such as `lethe-heads-1`.
    pub name: String,
    /// Fingerprint of the encoder that they were trained on.
    pub encoder: String,
    /// Numbers in that encoder's vectors.
    pub width: usize,
    /// How texts are cut.
    pub windows: WindowWords,
    /// Categories that share a hidden layer, or none.
    pub groups: Vec<Group>,
}

/// How texts are cut, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowWords {
    /// The most words in a window.
    pub words: NonZeroUsize,
    /// Words between the ends of windows.
    pub stride: NonZeroUsize,
}

/// Categories whose logits come from one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name, `[a-z0-9_]{1,64}`.
    pub name: String,
    /// Width of its hidden layer, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<usize>,
    /// In the order of its logits.
    pub categories: Vec<CategoryHead>,
}

/// How a logit becomes a probability, and from which probability on it counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryHead {
    #[serde(with = "category_name")]
    category: Category,
    /// From which probability on the category is flagged, in (0, 1].
    pub threshold: f32,
    /// Calibration: what the logit is multiplied by, above 0.
    pub slope: f32,
    /// Calibration: what is added to it then.
    pub intercept: f32,
}

impl CategoryHead {
    /// A category's head.
    #[must_use]
    pub const fn new(category: Category, threshold: f32, slope: f32, intercept: f32) -> Self {
        Self { category, threshold, slope, intercept }
    }

    /// The category.
    #[must_use]
    pub const fn category(&self) -> Category {
        self.category
    }

    /// The calibrated probability of a logit.
    pub(super) fn probability(&self, logit: f32) -> f32 {
        1.0 / (1.0 + (-(self.slope * logit + self.intercept)).exp())
    }
}

impl WindowWords {
    pub(super) const fn shape(self) -> WindowShape {
        WindowShape::new(self.words, self.stride)
    }
}

impl Group {
    /// The name of one of its layers.
    pub(super) fn tensor(&self, layer: &str) -> String {
        format!("{}.{layer}", self.name)
    }
}

impl Description {
    pub(super) fn check(&self) -> Result<(), HeadsError> {
        let bounded = |field, inside: bool| {
            if inside { Ok(()) } else { Err(HeadsError::Value { field }) }
        };
        if self.schema != 1 {
            return Err(HeadsError::Schema(self.schema));
        }
        bounded("name", is_name(&self.name, b"-."))?;
        bounded("width", (1..=LARGEST).contains(&self.width))?;
        bounded("words", self.windows.words.get() <= 1024)?;
        bounded("stride", self.windows.stride <= self.windows.words)?;
        bounded("groups", (1..=Category::ALL.len()).contains(&self.groups.len()))?;
        let mut known = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let again = self.groups[..index].iter().any(|other| other.name == group.name);
            if again || !is_name(&group.name, b"_") {
                return Err(HeadsError::Group(group.name.clone()));
            }
            bounded("hidden", group.hidden.is_none_or(|hidden| (1..=LARGEST).contains(&hidden)))?;
            bounded("categories", !group.categories.is_empty())?;
            for head in &group.categories {
                bounded("threshold", head.threshold > 0.0 && head.threshold <= 1.0)?;
                bounded("slope", head.slope > 0.0 && head.slope.is_finite())?;
                bounded("intercept", head.intercept.is_finite())?;
                if known.contains(&head.category) {
                    return Err(HeadsError::Category(head.category.to_string()));
                }
                known.push(head.category);
            }
        }
        Ok(())
    }
}

/// Up to 64 lower-case letters, digits and `others`.
fn is_name(text: &str, others: &[u8]) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || others.contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

mod category_name {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::Category;

    pub(super) fn serialize<S: Serializer>(
        category: &Category,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(category.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Category, D::Error> {
        let name = String::deserialize(deserializer)?;
        Category::parse(&name).ok_or_else(|| D::Error::custom("an unknown category"))
    }
}

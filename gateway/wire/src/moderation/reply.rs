//! What moderation says, in a completion's reply and in that of `POST /v1/moderations`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// OpenAI's categories, which a reply of `POST /v1/moderations` always has.
pub const STANDARD_CATEGORIES: [&str; 13] = [
    "hate",
    "hate/threatening",
    "harassment",
    "harassment/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// The score of one category.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CategoryScore {
    /// The category's name.
    pub name: &'static str,
    /// In [0, 1]; `None` if the scorer does not know the category.
    pub score: Option<f32>,
    /// Whether the score reaches the category's threshold.
    pub flagged: bool,
}

/// What is said of one text. Maps have their keys in the order of the scores.
#[derive(Debug, Clone, PartialEq, serde::Serialize, JsonSchema)]
pub struct Verdict {
    /// Whether any category is flagged.
    pub flagged: bool,
    /// Whether each category is flagged.
    pub categories: Categories<bool>,
    /// The score of each category; 0 if the scorer does not know it.
    pub category_scores: Categories<f32>,
    /// What each score is made from; nothing if the scorer does not know the category.
    pub category_applied_input_types: Categories<&'static [&'static str]>,
}

/// A map from categories to values, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Categories<T>(Vec<(&'static str, T)>);

/// The block `moderation` of a completion's reply.
#[derive(Debug, Clone, PartialEq, serde::Serialize, JsonSchema)]
pub struct ChatModeration {
    /// Of the prompts, in their order.
    pub input: ModerationItem,
    /// Of the answers, in their order.
    pub output: ModerationItem,
}

/// What became of moderating one direction.
#[derive(Debug, Clone, PartialEq, serde::Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ModerationItem {
    /// All texts were scored.
    ModerationResults {
        /// The scorer's version.
        model: String,
        /// One for each text.
        results: Vec<ModerationResult>,
    },
    /// Some could not be.
    Error {
        /// A word for programs.
        code: &'static str,
        /// A sentence for people.
        message: &'static str,
    },
}

/// What is said of one text in a completion's reply.
#[derive(Debug, Clone, PartialEq, serde::Serialize, JsonSchema)]
#[serde(tag = "type", rename = "moderation_result")]
#[schemars(inline)]
pub struct ModerationResult {
    /// The scorer's version.
    pub model: String,
    /// What it says.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// The reply of `POST /v1/moderations`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, JsonSchema)]
pub struct ModerationReply<'a> {
    /// `modr-...`
    pub id: String,
    /// The scorer's version.
    pub model: &'a str,
    /// One for each input.
    pub results: Vec<Verdict>,
}

impl Verdict {
    /// Of the categories that the scorer knows, and no others.
    pub fn of_known(scores: impl IntoIterator<Item = CategoryScore>) -> Self {
        let known = scores.into_iter().filter(|category| category.score.is_some());
        Self::new(&known.collect::<Vec<_>>())
    }

    /// With all of OpenAI's categories, and the scorer's own after them.
    pub fn with_standard(scores: impl IntoIterator<Item = CategoryScore>) -> Self {
        let unknown = |name| CategoryScore { name, score: None, flagged: false };
        let mut all: Vec<_> = STANDARD_CATEGORIES.into_iter().map(unknown).collect();
        for category in scores.into_iter().filter(|category| category.score.is_some()) {
            match all.iter_mut().find(|known| known.name == category.name) {
                Some(place) => *place = category,
                None => all.push(category),
            }
        }
        Self::new(&all)
    }

    fn new(scores: &[CategoryScore]) -> Self {
        const TEXT: &[&str] = &["text"];
        let applied = |category: &CategoryScore| if category.score.is_some() { TEXT } else { &[] };
        Self {
            flagged: scores.iter().any(|category| category.flagged),
            categories: Categories::of(scores, |category| category.flagged),
            category_scores: Categories::of(scores, |category| category.score.unwrap_or(0.0)),
            category_applied_input_types: Categories::of(scores, applied),
        }
    }
}

impl<T> Categories<T> {
    fn of(scores: &[CategoryScore], value: impl Fn(&CategoryScore) -> T) -> Self {
        Self(scores.iter().map(|category| (category.name, value(category))).collect())
    }
}

impl<T: Serialize> Serialize for Categories<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<T: JsonSchema> JsonSchema for Categories<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("CategoriesOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": generator.subschema_for::<T>()})
    }
}

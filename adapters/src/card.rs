//! The card: what is known of an adapter, and how it was measured.

mod timestamp;
mod word;

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::{AdapterName, Digest, KindName};

pub use timestamp::{Timestamp, TimestampError};
pub use word::{Word, WordError};

/// An adapter's card (`card.json`), schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Version of this format; always 1.
    pub schema: Schema,
    /// The name it was made under.
    pub name: AdapterName,
    /// What kind of adapter it is.
    pub kind: KindName,
    /// The bias domain it acts on, such as `gender`.
    pub domain: Word,
    /// When it was made.
    pub created: Timestamp,
    /// The model it was made for.
    pub base: Base,
    /// The run file it was made by, whole.
    pub run: Run,
    /// Seed of the run.
    pub seed: u64,
    /// What it was made from.
    pub data: Data,
    /// How it compares with the base.
    pub evaluation: Vec<Measurement>,
}

/// The model that an adapter was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The model's name.
    pub name: String,
    /// The fingerprint of its weights.
    pub weights: Digest,
}

/// A run file: its objective, and everything else that was in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What was optimised.
    pub objective: String,
    /// The rest of the run file.
    #[serde(flatten)]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// The data that an adapter was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The data set, such as `redditbias/gender`.
    pub source: String,
    /// Digest of the split into training and held-out items.
    pub split: Digest,
    /// Items to unlearn.
    pub forget_items: u64,
    /// Items to keep.
    pub retain_items: u64,
}

/// One metric, measured on the base and with the adapter in the same way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// The test, such as `stereoset`.
    pub test: Word,
    /// The domain that was measured, such as `gender`.
    pub domain: Word,
    /// The metric, such as `ss`.
    pub metric: Word,
    /// Its value on the base.
    pub base: f64,
    /// Its value with the adapter at scale 1.
    pub adapter: f64,
    /// How much the adapter changed it.
    pub delta: f64,
    /// Paired bootstrap 95 % interval of `delta`, low end first.
    pub interval: [f64; 2],
    /// Items measured.
    pub items: u64,
    /// Adapters of this recipe that were measured, each trained from another seed. `adapter` is
    /// their mean, and the interval is over seeds as well as items.
    pub seeds: NonZeroU64,
}

/// Why bytes are not a card.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// Not JSON, or a field is missing, unknown, twice there or of the wrong type.
    #[error("card.json is not a card: {0}")]
    Format(#[from] serde_json::Error),
    /// An interval whose low end is above its high end.
    #[error("card.json: the interval of {test}/{metric} runs backwards")]
    Interval {
        /// The test.
        test: Word,
        /// The metric.
        metric: Word,
    },
}

impl Card {
    /// Reads a card.
    ///
    /// # Errors
    /// [`CardError`] if `json` is not a card of schema 1.
    pub fn parse(json: &[u8]) -> Result<Self, CardError> {
        let card: Self = serde_json::from_slice(json)?;
        // JSON has no NaN and serde_json refuses numbers that overflow, so every value is finite.
        match card.evaluation.iter().find(|m| m.interval[0] > m.interval[1]) {
            Some(m) => Err(CardError::Interval { test: m.test.clone(), metric: m.metric.clone() }),
            None => Ok(card),
        }
    }

    /// The card as JSON, indented.
    ///
    /// # Errors
    /// [`CardError::Format`] if it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, CardError> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

/// The version of the card format: 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Schema;

impl TryFrom<u64> for Schema {
    type Error = String;

    fn try_from(version: u64) -> Result<Self, String> {
        if version == 1 { Ok(Self) } else { Err(format!("schema {version} is not supported")) }
    }
}

impl From<Schema> for u64 {
    fn from(_: Schema) -> Self {
        1
    }
}

//! Our heads: what turns a sentence encoder's vector into scores.
//!
//! `heads.json` describes them and `heads.safetensors` holds the numbers, all f32. A vector `x`
//! becomes `z = (x - mean) / deviation`. Each group of categories then has its logits
//! `l = W z + b`, or with a hidden layer `l = W relu(V z + c) + b`, and a category's probability
//! is `sigmoid(slope * l + intercept)`, where slope and intercept calibrate it.
//!
//! | tensor | shape |
//! |---|---|
//! | `mean`, `deviation` | (width) |
//! | `{group}.hidden.weight`, `{group}.hidden.bias`, if it has one | (hidden, width), (hidden) |
//! | `{group}.output.weight`, `{group}.output.bias` | (categories, hidden or width), (categories) |

mod description;
mod error;
mod tensors;

use std::path::Path;

use sha2::{Digest, Sha256};

pub use description::{CategoryHead, Description, Group, WindowWords};
pub use error::HeadsError;
pub use tensors::Layer;

use super::EncoderError;
use super::folder::{self, Folder};
use crate::{Category, Scores, WindowShape};

/// The files of a folder that holds heads.
const DESCRIPTION: &str = "heads.json";
const TENSORS: &str = "heads.safetensors";

/// Largest file of either kind.
const LIMIT_BYTES: u64 = 64 << 20;

/// Trained heads.
#[derive(Debug, Clone, PartialEq)]
pub struct Heads {
    description: Description,
    mean: Vec<f32>,
    deviation: Vec<f32>,
    /// Of each group: its hidden layer, if it has one, and its output layer.
    layers: Vec<(Option<Layer>, Layer)>,
}

impl Heads {
    /// Heads of trained numbers; `layers` are those of the groups in their order.
    ///
    /// # Errors
    /// [`HeadsError`] if shapes or values do not fit the description.
    pub fn new(
        description: Description,
        mean: Vec<f32>,
        deviation: Vec<f32>,
        layers: Vec<(Option<Layer>, Layer)>,
    ) -> Result<Self, HeadsError> {
        description.check()?;
        let heads = Self { description, mean, deviation, layers };
        heads.check()?;
        Ok(heads)
    }

    /// The same numbers, otherwise calibrated: `categories` are in the order of their logits.
    ///
    /// # Errors
    /// [`HeadsError`] if they are not the same categories, or out of bounds.
    pub fn calibrated(mut self, categories: Vec<CategoryHead>) -> Result<Self, HeadsError> {
        let mut rest = categories.into_iter();
        for head in self.description.groups.iter_mut().flat_map(|group| &mut group.categories) {
            let next = rest.next().filter(|next| next.category() == head.category());
            *head = next.ok_or(HeadsError::Value { field: "categories" })?;
        }
        if rest.next().is_some() {
            return Err(HeadsError::Value { field: "categories" });
        }
        self.description.check()?;
        Ok(self)
    }

    /// Reads the two files' bytes.
    ///
    /// # Errors
    /// [`HeadsError`] if either is malformed, or they do not fit.
    pub fn parse(description: &[u8], tensors: &[u8]) -> Result<Self, HeadsError> {
        let description: Description =
            serde_json::from_slice(description).map_err(HeadsError::Json)?;
        description.check()?;
        let mut tensors = tensors::Reader::parse(tensors)?;
        let width = description.width;
        let (mean, deviation) =
            (tensors.take("mean", &[width])?, tensors.take("deviation", &[width])?);
        let layers = description.groups.iter().map(|group| tensors.take_group(group, width));
        let layers = layers.collect::<Result<_, _>>()?;
        tensors.finish()?;
        Self::new(description, mean, deviation, layers)
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// [`EncoderError`] if a file is missing or malformed.
    pub fn load(folder: &Path) -> Result<Self, EncoderError> {
        let mut folder = Folder::new(folder);
        let description = folder.read(DESCRIPTION, LIMIT_BYTES)?;
        Ok(Self::parse(&description, &folder.read(TENSORS, LIMIT_BYTES)?)?)
    }

    /// Writes a folder, which must exist.
    ///
    /// # Errors
    /// [`HeadsError::Io`] if it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), HeadsError> {
        replace(&folder.join(TENSORS), &self.tensors()?)?;
        replace(&folder.join(DESCRIPTION), &self.json()?)
    }

    /// The bytes of `heads.json`.
    ///
    /// # Errors
    /// [`HeadsError::Json`] never, as every description can be written.
    pub fn json(&self) -> Result<Vec<u8>, HeadsError> {
        let mut bytes = serde_json::to_vec_pretty(&self.description).map_err(HeadsError::Json)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The bytes of `heads.safetensors`.
    ///
    /// # Errors
    /// [`HeadsError::Safetensors`] never, as every checked shape can be written.
    pub fn tensors(&self) -> Result<Vec<u8>, HeadsError> {
        let groups = self.description.groups.iter().zip(&self.layers);
        tensors::write(&self.mean, &self.deviation, groups)
    }

    /// Their name, such as `lethe-heads-1`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.description.name
    }

    /// Fingerprint of the encoder that they were trained on.
    #[must_use]
    pub fn encoder(&self) -> &str {
        &self.description.encoder
    }

    /// Numbers in a vector.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.mean.len()
    }

    /// How texts are cut.
    #[must_use]
    pub const fn windows(&self) -> WindowShape {
        self.description.windows.shape()
    }

    /// From which score on a category is flagged.
    #[must_use]
    pub fn thresholds(&self) -> Scores {
        let all = self.description.groups.iter().flat_map(|group| &group.categories);
        all.map(|head| (head.category(), head.threshold)).collect()
    }

    /// The calibrated probabilities of a vector.
    #[must_use]
    pub fn scores(&self, vector: &[f32]) -> Scores {
        let heads = self.description.groups.iter().flat_map(|group| &group.categories);
        let calibrated = heads.zip(self.logits(vector));
        calibrated.map(|(head, (category, logit))| (category, head.probability(logit))).collect()
    }

    /// The logits of a vector before they are calibrated.
    #[must_use]
    pub fn logits(&self, vector: &[f32]) -> Vec<(Category, f32)> {
        let centred = vector.iter().zip(&self.mean).zip(&self.deviation);
        let z: Vec<f32> = centred.map(|((x, mean), deviation)| (x - mean) / deviation).collect();
        let groups = self.description.groups.iter().zip(&self.layers);
        let logits = groups.flat_map(|(group, (hidden, output))| {
            let inner = hidden.as_ref().map(|layer| layer.forward(&z, |x| x.max(0.0)));
            let logits = output.forward(inner.as_ref().unwrap_or(&z), |x| x);
            group.categories.iter().map(CategoryHead::category).zip(logits)
        });
        logits.collect()
    }

    /// Identity of the numbers and of their description.
    pub(super) fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        // Neither can fail on heads that were checked.
        digest.update(self.json().unwrap_or_default());
        digest.update(self.tensors().unwrap_or_default());
        folder::fingerprint(digest)
    }

    fn check(&self) -> Result<(), HeadsError> {
        let width = self.description.width;
        tensors::check("mean", &self.mean, width)?;
        tensors::check("deviation", &self.deviation, width)?;
        if !self.deviation.iter().all(|&deviation| deviation > 0.0) {
            return Err(HeadsError::Value { field: "deviation" });
        }
        if self.layers.len() != self.description.groups.len() {
            return Err(HeadsError::Value { field: "layers" });
        }
        for (group, (hidden, output)) in self.description.groups.iter().zip(&self.layers) {
            let inner = match (hidden, group.hidden) {
                (None, None) => width,
                (Some(layer), Some(inner)) => {
                    layer.check(&group.tensor("hidden"), width, inner)?;
                    inner
                }
                (Some(_), None) | (None, Some(_)) => {
                    return Err(HeadsError::Value { field: "hidden" });
                }
            };
            output.check(&group.tensor("output"), inner, group.categories.len())?;
        }
        Ok(())
    }
}

/// Writes a file beside its place and then puts it there, so that it is never there in part.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), HeadsError> {
    let beside = path.with_extension("part");
    std::fs::write(&beside, bytes)
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(HeadsError::Io)
}

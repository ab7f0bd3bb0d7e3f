//! The fast scorer's file: safetensors, with what the tensors mean as JSON in the metadata.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::FastScorer;
use super::linear::Linear;
use super::network::{Embedding, Network, WIDTH};
use super::pieces::Pieces;
use crate::{Category, Scores, WindowShape};

/// The metadata's key.
const MEANING: &str = "scorer";
const SCHEMA: u32 = 1;
/// More than any of ours, few enough that sizes cannot overflow.
const MOST: usize = 1 << 20;

/// What is wrong with a scorer's file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not a safetensors file, or a tensor is missing.
    #[error("the scorer's file is not sound: {0}")]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// The metadata are missing or do not say what they should.
    #[error("the scorer's metadata are not sound: {0}")]
    Meaning(String),
    /// A tensor has another shape or type than the others ask for.
    #[error("tensor {0} has a wrong shape or type")]
    Shape(&'static str),
    /// A tensor has a value that is not finite.
    #[error("tensor {0} has a value that is not finite")]
    NotFinite(&'static str),
    /// The vocabulary is not UTF-8, has a piece twice or lacks `[UNK]`.
    #[error("the vocabulary is not sound")]
    Vocabulary,
}

/// From a logit to a probability: `1 / (1 + exp(-(slope * logit + offset)))`.
/// (Platt, "Probabilistic Outputs for Support Vector Machines", 1999.)
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Above 0, so that the order of texts stays.
    pub slope: f32,
    /// In logits.
    pub offset: f32,
}

impl Calibration {
    /// The probability.
    #[must_use]
    pub fn apply(self, logit: f32) -> f32 {
        1.0 / (1.0 + (-(self.slope * logit + self.offset)).exp())
    }
}

/// An affine map: `weights` (outputs, inputs) and `bias` (outputs), row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// (outputs, inputs).
    pub weights: Vec<f32>,
    /// (outputs).
    pub bias: Vec<f32>,
}

/// A scorer as its maker has it. Shapes as in the network's own description: `V` pieces, embeddings
/// of `E`, channels `W`.
#[derive(Debug, Clone, PartialEq)]
pub struct FastModel {
    /// (V) pieces, among them `[UNK]`; those that continue a word begin with `##`.
    pub vocabulary: Vec<String>,
    /// (V, E); written as eight-bit numbers.
    pub embedding: Vec<f32>,
    /// (W, 3E).
    pub first: Layer,
    /// (W, 3W).
    pub second: Layer,
    /// (W, 2W).
    pub hidden: Layer,
    /// (categories, W).
    pub heads: Layer,
    /// What each head stands for.
    pub categories: Vec<(Category, Calibration)>,
    /// From which score on a category is flagged.
    pub thresholds: Scores,
    /// How longer texts are cut.
    pub windows: WindowShape,
}

/// The metadata.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meaning {
    schema: u32,
    window_words: NonZeroUsize,
    stride_words: NonZeroUsize,
    /// In the order of the heads.
    heads: Vec<Head>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    category: String,
    calibration: Calibration,
    threshold: f32,
}

impl FastModel {
    /// The file's bytes.
    ///
    /// # Errors
    /// [`FileError`] if the parts do not fit each other.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FileError> {
        let pieces = self.vocabulary.len();
        let width = self.embedding.len() / pieces.max(1);
        let (values, scales) = quantise(&self.embedding, width.max(1));
        let text = self.vocabulary.join("\n").into_bytes();
        let values: Vec<u8> = values.iter().map(|value| value.to_le_bytes()[0]).collect();
        let mut tensors = vec![
            ("embedding.scales", Dtype::F32, vec![pieces], bytes(&scales)),
            ("embedding.values", Dtype::I8, vec![pieces, width], values),
            ("vocabulary", Dtype::U8, vec![text.len()], text),
        ];
        let layers = [
            (["first.weight", "first.bias"], &self.first),
            (["second.weight", "second.bias"], &self.second),
            (["hidden.weight", "hidden.bias"], &self.hidden),
            (["heads.weight", "heads.bias"], &self.heads),
        ];
        for ([weight, bias], layer) in layers {
            let outputs = layer.bias.len();
            let shape = vec![outputs, layer.weights.len() / outputs.max(1)];
            tensors.push((weight, Dtype::F32, shape, bytes(&layer.weights)));
            tensors.push((bias, Dtype::F32, vec![outputs], bytes(&layer.bias)));
        }
        let views: Result<BTreeMap<_, _>, _> = tensors
            .iter()
            .map(|(name, kind, shape, data)| {
                Ok((*name, TensorView::new(*kind, shape.clone(), data)?))
            })
            .collect::<Result<_, safetensors::SafeTensorError>>();
        let metadata = HashMap::from([(MEANING.to_owned(), self.meaning()?)]);
        let written = safetensors::serialize(views?, Some(metadata))?;
        FastScorer::from_bytes(&written)?;
        Ok(written)
    }

    fn meaning(&self) -> Result<String, FileError> {
        let head = |&(category, calibration): &(Category, Calibration)| {
            let threshold = self.thresholds.get(category);
            let threshold = threshold.ok_or_else(|| unsound("a category has no threshold"))?;
            Ok(Head { category: category.name().to_owned(), calibration, threshold })
        };
        let size = |words| NonZeroUsize::new(words).ok_or_else(|| unsound("a window of no words"));
        let meaning = Meaning {
            schema: SCHEMA,
            window_words: size(self.windows.words())?,
            stride_words: size(self.windows.stride())?,
            heads: self.categories.iter().map(head).collect::<Result<_, FileError>>()?,
        };
        serde_json::to_string(&meaning).map_err(|error| unsound(&error.to_string()))
    }
}

/// Rows (of `width`) as whole numbers of up to 127 units, and each row's unit.
fn quantise(rows: &[f32], width: usize) -> (Vec<i8>, Vec<f32>) {
    let mut values = Vec::with_capacity(rows.len());
    let mut scales = Vec::with_capacity(rows.len() / width);
    for row in rows.chunks_exact(width) {
        let highest = row.iter().fold(0.0_f32, |highest, value| highest.max(value.abs()));
        let scale = highest / 127.0;
        let unit = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "at most 127 by construction")]
        values.extend(row.iter().map(|value| (value * unit).round() as i8));
        scales.push(scale);
    }
    (values, scales)
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Reads and checks a file.
pub(super) fn read(bytes: &[u8], version: String) -> Result<FastScorer, FileError> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let meaning = header.metadata().as_ref().and_then(|metadata| metadata.get(MEANING));
    let meaning = meaning.ok_or_else(|| unsound("they are missing"))?;
    let meaning: Meaning =
        serde_json::from_str(meaning).map_err(|error| unsound(&error.to_string()))?;
    let tensors = SafeTensors::deserialize(bytes)?;
    let (categories, thresholds) = heads(&meaning)?;
    let pieces = vocabulary(&tensors)?;
    let network = network(&tensors, pieces.len(), categories.len())?;
    let windows = WindowShape::new(meaning.window_words, meaning.stride_words);
    Ok(FastScorer { version, categories, thresholds, windows, pieces, network })
}

fn heads(meaning: &Meaning) -> Result<(Vec<(Category, Calibration)>, Scores), FileError> {
    if meaning.schema != SCHEMA {
        return Err(unsound("another schema than this program reads"));
    }
    let mut thresholds = Scores::default();
    let mut categories = Vec::new();
    for Head { category, calibration, threshold } in &meaning.heads {
        let category = Category::parse(category).ok_or_else(|| unsound("an unknown category"))?;
        if thresholds.get(category).is_some() {
            return Err(unsound("a category twice"));
        }
        let rises = calibration.slope > 0.0 && calibration.slope.is_finite();
        if !rises || !calibration.offset.is_finite() || !(0.0..=1.0).contains(threshold) {
            return Err(unsound("a calibration or threshold out of range"));
        }
        thresholds.set(category, *threshold);
        categories.push((category, *calibration));
    }
    if categories.is_empty() { Err(unsound("no category")) } else { Ok((categories, thresholds)) }
}

fn vocabulary(tensors: &SafeTensors<'_>) -> Result<Pieces, FileError> {
    let view = tensors.tensor("vocabulary")?;
    if view.dtype() != Dtype::U8 {
        return Err(FileError::Shape("vocabulary"));
    }
    let text = std::str::from_utf8(view.data()).map_err(|_| FileError::Vocabulary)?;
    Pieces::new(text.split('\n')).ok_or(FileError::Vocabulary)
}

fn network(tensors: &SafeTensors<'_>, pieces: usize, heads: usize) -> Result<Network, FileError> {
    let values = tensors.tensor("embedding.values")?;
    let width = match values.shape() {
        &[rows, width] if rows == pieces && (1..MOST).contains(&width) => width,
        _ => return Err(FileError::Shape("embedding.values")),
    };
    if values.dtype() != Dtype::I8 {
        return Err(FileError::Shape("embedding.values"));
    }
    let values = values.data().iter().map(|&byte| i8::from_le_bytes([byte])).collect();
    let scales = floats(tensors, "embedding.scales", &[pieces])?;
    let channels = match tensors.tensor("first.bias")?.shape() {
        &[channels] if (1..MOST).contains(&channels) => channels,
        _ => return Err(FileError::Shape("first.bias")),
    };
    let layer = |weight, bias, outputs: usize, inputs: usize| {
        let weights = floats(tensors, weight, &[outputs, inputs])?;
        Ok::<_, FileError>(Linear::new(&weights, &floats(tensors, bias, &[outputs])?))
    };
    Ok(Network {
        embedding: Embedding { values, scales, width },
        first: layer("first.weight", "first.bias", channels, WIDTH * width)?,
        second: layer("second.weight", "second.bias", channels, WIDTH * channels)?,
        hidden: layer("hidden.weight", "hidden.bias", channels, 2 * channels)?,
        heads: layer("heads.weight", "heads.bias", heads, channels)?,
    })
}

fn floats(
    tensors: &SafeTensors<'_>,
    name: &'static str,
    shape: &[usize],
) -> Result<Vec<f32>, FileError> {
    let view = tensors.tensor(name)?;
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        return Err(FileError::Shape(name));
    }
    let values: Vec<f32> =
        view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let finite = values.iter().all(|value| value.is_finite());
    if finite { Ok(values) } else { Err(FileError::NotFinite(name)) }
}

fn unsound(what: &str) -> FileError {
    FileError::Meaning(what.to_owned())
}

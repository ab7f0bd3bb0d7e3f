//! A scorer on a sequence classifier.

use std::path::Path;

use candle_core::{D, Tensor};
use candle_nn::ops::{sigmoid, softmax};

use super::backbone::Backbone;
use super::config::{Config, ConfigFile, Family};
use super::folder::short;
use super::labels;
use super::layers::Linear;
use super::weights::Weights;
use super::{DEFAULT_WINDOWS, EncoderError};
use crate::{Category, ScoreError, Scorer, Scores, WindowShape};

/// The chance from which a category is flagged: published classifiers name no other.
const THRESHOLD: f32 = 0.5;

/// Scores by a BERT-family `ForSequenceClassification` model whose labels we know. Labels that
/// mean the same category give the higher of their probabilities.
pub struct ClassifierScorer {
    backbone: Backbone,
    head: Head,
    /// Of each output.
    categories: Vec<Option<Category>>,
    thresholds: Scores,
    version: String,
}

impl ClassifierScorer {
    /// Reads `config.json`, the tokenizer and `model.safetensors` of a folder.
    ///
    /// # Errors
    /// [`EncoderError`] if something is missing, malformed, or has no meaning here.
    pub fn open(folder: &Path) -> Result<Self, EncoderError> {
        let missing = || EncoderError::Unsupported("a classifier without id2label".into());
        let (backbone, (head, categories)) = Backbone::open(folder, |_, file, config, weights| {
            let categories = labels::categories(file.id2label.as_ref().ok_or_else(missing)?)?;
            Ok((Head::load(file, config, weights, categories.len())?, categories))
        })?;
        let known = categories.iter().flatten().map(|&category| (category, THRESHOLD));
        let thresholds = known.collect();
        let version = format!("classifier-{}", short(backbone.fingerprint()));
        Ok(Self { backbone, head, categories, thresholds, version })
    }

    fn score_one(&self, text: &str) -> Result<Scores, EncoderError> {
        let mut highest = Scores::default();
        for hidden in self.backbone.hidden(text)? {
            let probabilities = self.head.probabilities(&hidden)?;
            for (category, probability) in self.categories.iter().zip(probabilities) {
                let Some(category) = *category else { continue };
                let known = highest.get(category).unwrap_or(0.0);
                highest.set(category, known.max(probability));
            }
        }
        Ok(highest)
    }
}

impl Scorer for ClassifierScorer {
    fn version(&self) -> &str {
        &self.version
    }

    fn thresholds(&self) -> &Scores {
        &self.thresholds
    }

    fn windows(&self) -> WindowShape {
        DEFAULT_WINDOWS
    }

    fn score(&self, texts: &[&str]) -> Result<Vec<Scores>, ScoreError> {
        let scores = texts.iter().map(|text| self.score_one(text));
        scores.collect::<Result<_, _>>().map_err(|error| ScoreError(error.to_string()))
    }
}

/// Logits of the first token's hidden state, and how they become probabilities.
#[derive(Debug)]
struct Head {
    dense: Linear,
    between: Between,
    output: Linear,
    link: Link,
}

#[derive(Debug)]
enum Between {
    Tanh,
    Relu,
}

/// From logits to probabilities.
#[derive(Debug)]
enum Link {
    /// Each label by itself.
    Sigmoid,
    /// One of the labels.
    Softmax,
}

impl Head {
    fn load(
        file: &ConfigFile,
        config: &Config,
        weights: &Weights<'_>,
        labels: usize,
    ) -> Result<Self, EncoderError> {
        let (dense, between, output) = match config.family {
            Family::Bert => ("bert.pooler.dense", Between::Tanh, "classifier"),
            Family::Roberta => ("classifier.dense", Between::Tanh, "classifier.out_proj"),
            Family::DistilBert => ("pre_classifier", Between::Relu, "classifier"),
        };
        let width = config.hidden;
        Ok(Self {
            dense: Linear::load(weights, dense, width, width)?,
            between,
            output: Linear::load(weights, output, width, labels)?,
            link: Link::parse(file.problem_type.as_deref(), labels)?,
        })
    }

    fn probabilities(&self, hidden: &Tensor) -> Result<Vec<f32>, EncoderError> {
        let dense = self.dense.forward(&hidden.narrow(0, 0, 1)?)?;
        let between = match self.between {
            Between::Tanh => dense.tanh()?,
            Between::Relu => dense.relu()?,
        };
        let logits = self.output.forward(&between)?.squeeze(0)?;
        let probabilities = match self.link {
            Link::Sigmoid => sigmoid(&logits)?,
            Link::Softmax => softmax(&logits, D::Minus1)?,
        };
        let probabilities = probabilities.to_vec1::<f32>()?;
        let finite = probabilities.iter().all(|p| p.is_finite());
        if finite { Ok(probabilities) } else { Err(EncoderError::Overflow) }
    }
}

impl Link {
    /// Without a problem type: softmax, unless there is but one label.
    fn parse(problem: Option<&str>, labels: usize) -> Result<Self, EncoderError> {
        match (problem, labels) {
            (Some("multi_label_classification"), _) | (None, 1) => Ok(Self::Sigmoid),
            (Some("single_label_classification"), 2..) | (None, _) => Ok(Self::Softmax),
            (Some(other), _) => Err(EncoderError::Unsupported(format!(
                "problem_type {other:?} with {labels} labels"
            ))),
        }
    }
}

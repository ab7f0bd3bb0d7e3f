//! What was measured, as data.

use std::collections::BTreeMap;

use gateway_toxicity::{Category, Scores};
use serde::Serialize;

use super::hatecheck::HateCheck;
use super::metrics::{Bin, Estimate, Ranking};
use crate::scorer::data::Example;

/// A scorer's results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Card {
    /// Its version or name.
    pub scorer: String,
    /// Test texts of each data set.
    pub items: BTreeMap<&'static str, usize>,
    /// Each category on each test.
    pub categories: Vec<CategoryResult>,
    /// HateCheck.
    pub hatecheck: HateCheck,
    /// Toxicity of misspelled tweets.
    pub robustness: Vec<Robustness>,
}

/// A category on a test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CategoryResult {
    /// The category's name.
    pub category: &'static str,
    /// `all`, or a data set.
    pub test: &'static str,
    /// Texts whose label is known.
    pub items: usize,
    /// Those that have it.
    pub positives: usize,
    /// Area under the ROC curve.
    pub auc: Estimate,
    /// Average precision.
    pub average_precision: Estimate,
    /// Expected calibration error.
    pub calibration_error: Estimate,
    /// The reliability plot's bins: ten of equal width.
    pub bins: Vec<Bin>,
}

/// Toxicity of tweets in one spelling.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Robustness {
    /// How words were changed.
    pub spelling: &'static str,
    /// Area under the ROC curve.
    pub auc: Estimate,
    /// Share of toxic tweets that are flagged.
    pub recall: Estimate,
}

impl CategoryResult {
    pub(super) fn of(
        category: Category,
        test: &'static str,
        ranking: Option<Ranking>,
    ) -> Option<Self> {
        let ranking = ranking?;
        Some(Self {
            category: category.name(),
            test,
            items: ranking.items(),
            positives: ranking.positives(),
            auc: ranking.auc(),
            average_precision: ranking.average_precision(),
            calibration_error: ranking.calibration_error(),
            bins: ranking.bins(),
        })
    }
}

/// Score and truth of the texts whose label and score are known.
pub(super) fn known(
    examples: &[&Example],
    scores: &[Scores],
    category: Category,
    wanted: impl Fn(&Example) -> bool,
) -> Vec<(f64, bool)> {
    let chosen = examples.iter().zip(scores).filter(|(example, _)| wanted(example));
    let pair = |(example, scores): (&&Example, &Scores)| {
        Some((f64::from(scores.get(category)?), example.labels.get(category)? >= 0.5))
    };
    chosen.filter_map(pair).collect()
}

/// Texts of both kinds, or nothing: curves need both.
pub(super) fn ranking(pairs: &[(f64, bool)]) -> Option<Ranking> {
    let both = pairs.iter().any(|pair| pair.1) && pairs.iter().any(|pair| !pair.1);
    both.then(|| Ranking::new(pairs.to_vec()))
}

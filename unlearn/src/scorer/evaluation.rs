//! How good a scorer is: measured on texts that nothing was learned or chosen from.

mod card;
mod hatecheck;
mod judge;
mod metrics;
mod page;
mod plot;

use std::collections::{BTreeMap, HashSet};

use gateway_toxicity::Category;

use super::data::{Case, Example, Source};
use super::grammar::{Grammar, GrammarError};
use super::perturbation::Perturbation;
use crate::corpus::{Part, letters};
use crate::random::Random;

pub use card::{Card, CategoryResult, Robustness};
pub use hatecheck::{Functionality, GroupRate, HateCheck};
pub use judge::{Judge, JudgeError, Program, WordList};
pub use metrics::{Bin, Estimate};

use card::{known, ranking};

/// Of spelling variants.
const SEED: u64 = 0;
/// Longer words of a text that are misspelled.
const MISSPELLED: usize = 3;
/// Sentences of the grammar among which HateCheck's cases are looked for.
const OVERLAP_SENTENCES: usize = 1_000_000;

/// What scorers are measured on.
#[derive(Debug, Clone, Copy)]
pub struct Tests<'a> {
    /// Of which only the test part is used.
    pub examples: &'a [Example],
    /// HateCheck.
    pub cases: &'a [Case],
}

impl Tests<'_> {
    /// Measures one scorer.
    ///
    /// # Errors
    /// [`JudgeError`] if it fails.
    pub fn measure(&self, judge: &mut dyn Judge) -> Result<Card, JudgeError> {
        let test: Vec<&Example> = self.examples.iter().filter(|e| e.part == Part::Test).collect();
        let texts: Vec<&str> = test.iter().map(|example| example.text.as_str()).collect();
        let scores = judge.judge(&texts)?;
        let mut categories = Vec::new();
        for category in Category::ALL {
            let all = known(&test, &scores, category, |_| true);
            categories.extend(CategoryResult::of(category, "all", ranking(&all)));
            let tweets = known(&test, &scores, category, |e| e.source == Source::Davidson);
            categories.extend(CategoryResult::of(
                category,
                Source::Davidson.name(),
                ranking(&tweets),
            ));
        }
        Ok(Card {
            scorer: judge.name().to_owned(),
            items: counts(&test),
            categories,
            hatecheck: HateCheck::measure(judge, self.cases)?,
            robustness: robustness(judge, &test)?,
        })
    }

    /// How many of HateCheck's cases the grammar makes word for word, among a million sentences of
    /// its training part.
    ///
    /// # Errors
    /// [`GrammarError`] if the grammar is malformed.
    pub fn overlap(&self, slurs: &[String]) -> Result<usize, GrammarError> {
        let grammar = Grammar::ours(Part::Train, slurs)?;
        let mut random = Random::new(SEED);
        let made: HashSet<String> = (0..OVERLAP_SENTENCES)
            .map(|_| letters(&grammar.sentence(&mut random).example.text))
            .collect();
        Ok(self.cases.iter().filter(|case| made.contains(&letters(&case.text))).count())
    }
}

fn counts(examples: &[&Example]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    examples.iter().for_each(|example| *counts.entry(example.source.name()).or_default() += 1);
    counts
}

/// Toxicity of Davidson's tweets, plain and misspelled.
fn robustness(judge: &mut dyn Judge, test: &[&Example]) -> Result<Vec<Robustness>, JudgeError> {
    let tweets: Vec<&Example> =
        test.iter().copied().filter(|example| example.source == Source::Davidson).collect();
    let mut results = Vec::new();
    for perturbation in std::iter::once(None).chain(Perturbation::ALL.map(Some)) {
        let mut random = Random::new(SEED);
        let mut spelled = |text: &str| match perturbation {
            None => text.to_owned(),
            Some(perturbation) => perturbation.apply(text, MISSPELLED, &mut random),
        };
        let texts: Vec<String> = tweets.iter().map(|example| spelled(&example.text)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let scores = judge.judge(&texts)?;
        let pairs = known(&tweets, &scores, Category::Toxicity, |_| true);
        if let Some(ranking) = ranking(&pairs) {
            let spelling = perturbation.map_or("as written", Perturbation::name);
            let thresholds = judge.thresholds();
            let threshold = f64::from(thresholds.get(Category::Toxicity).unwrap_or(1.0));
            let toxic: Vec<_> = pairs.iter().filter(|pair| pair.1).collect();
            let found = toxic.iter().filter(|pair| pair.0 >= threshold).count();
            let recall = metrics::share(found, toxic.len());
            results.push(Robustness { spelling, auc: ranking.auc(), recall });
        }
    }
    Ok(results)
}

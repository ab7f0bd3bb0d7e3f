//! HateCheck: what a detector does in each of 29 situations.

use std::collections::BTreeMap;

use gateway_toxicity::{Category, Scores};
use serde::Serialize;

use super::judge::{Judge, JudgeError};
use super::metrics::{Estimate, share};
use crate::scorer::data::Case;

/// Neutral and positive mentions of a group.
const MENTIONS: [&str; 2] = ["ident_neutral_nh", "ident_pos_nh"];

/// Accuracy in one situation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Functionality {
    /// The suite's name for it.
    pub name: String,
    /// Cases.
    pub items: usize,
    /// Share of them that are judged right.
    pub accuracy: Estimate,
}

/// How often the mere mention of a group is called hateful.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupRate {
    /// The suite's name for it.
    pub group: String,
    /// Neutral and positive mentions.
    pub items: usize,
    /// Share of them that are called hateful.
    pub false_positive_rate: Estimate,
}

/// The suite's result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HateCheck {
    /// Cases.
    pub items: usize,
    /// Share of all cases that are judged right.
    pub accuracy: Estimate,
    /// Of the hateful ones.
    pub hateful: Estimate,
    /// Of the others.
    pub not_hateful: Estimate,
    /// Highest minus lowest false-positive rate of the groups.
    pub spread: f64,
    /// Each situation.
    pub functionalities: Vec<Functionality>,
    /// Each group.
    pub groups: Vec<GroupRate>,
}

impl HateCheck {
    /// Judges every case by the score for hate, flagged from the scorer's own threshold on.
    pub(super) fn measure(judge: &mut dyn Judge, cases: &[Case]) -> Result<Self, JudgeError> {
        let texts: Vec<&str> = cases.iter().map(|case| case.text.as_str()).collect();
        let threshold = judge.thresholds().get(Category::Hate).unwrap_or(1.0);
        let called =
            |scores: &Scores| scores.get(Category::Hate).is_some_and(|hate| hate >= threshold);
        let verdicts: Vec<bool> = judge.judge(&texts)?.iter().map(called).collect();
        Ok(Self::of(cases, &verdicts))
    }

    fn of(cases: &[Case], verdicts: &[bool]) -> Self {
        let right = |wanted: &dyn Fn(&Case) -> bool| {
            let chosen = cases.iter().zip(verdicts).filter(|(case, _)| wanted(case));
            let (mut hits, mut items) = (0, 0);
            for (case, verdict) in chosen {
                items += 1;
                hits += usize::from(case.hateful == *verdict);
            }
            share(hits, items)
        };
        let groups = rates(cases, verdicts);
        let rate = |group: &GroupRate| group.false_positive_rate.value;
        let highest = groups.iter().map(rate).fold(0.0, f64::max);
        let lowest = groups.iter().map(rate).fold(1.0, f64::min);
        let mut functionalities: BTreeMap<&str, usize> = BTreeMap::new();
        cases.iter().for_each(|case| *functionalities.entry(&case.functionality).or_default() += 1);
        let functionality = |(name, items): (&str, usize)| Functionality {
            name: name.to_owned(),
            items,
            accuracy: right(&|case| case.functionality == name),
        };
        Self {
            items: cases.len(),
            accuracy: right(&|_| true),
            hateful: right(&|case| case.hateful),
            not_hateful: right(&|case| !case.hateful),
            spread: (highest - lowest).max(0.0),
            functionalities: functionalities.into_iter().map(functionality).collect(),
            groups,
        }
    }
}

fn rates(cases: &[Case], verdicts: &[bool]) -> Vec<GroupRate> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (case, verdict) in cases.iter().zip(verdicts) {
        if MENTIONS.contains(&case.functionality.as_str()) {
            let (called, items) = counts.entry(&case.group).or_default();
            *called += usize::from(*verdict);
            *items += 1;
        }
    }
    let rate = |(group, (called, items)): (&str, (usize, usize))| GroupRate {
        group: group.to_owned(),
        items,
        false_positive_rate: share(called, items),
    };
    counts.into_iter().map(rate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(functionality: &str, group: &str, hateful: bool) -> Case {
        Case {
            functionality: functionality.into(),
            text: String::new(),
            hateful,
            group: group.into(),
        }
    }

    #[test]
    fn mentions_that_are_called_hateful_count_against_their_group() {
        let cases = [
            case("ident_pos_nh", "these", false),
            case("ident_neutral_nh", "these", false),
            case("ident_pos_nh", "those", false),
            case("threat_dir_h", "those", true),
        ];
        let result = HateCheck::of(&cases, &[true, false, false, true]);
        assert!((result.accuracy.value - 0.75).abs() < 1e-9);
        assert!((result.hateful.value - 1.0).abs() < 1e-9);
        assert_eq!(result.groups[0].group, "these");
        assert!((result.groups[0].false_positive_rate.value - 0.5).abs() < 1e-9);
        assert!((result.spread - 0.5).abs() < 1e-9);
        assert_eq!(result.functionalities.iter().map(|f| f.items).sum::<usize>(), 4);
    }
}

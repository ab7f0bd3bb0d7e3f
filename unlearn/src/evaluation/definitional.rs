//! What is true of a group by definition must stay likely.
//!
//! A probe is a text with a right and a wrong continuation, such as a pronoun that fits its noun.
//! `agreement` is the share of probes whose right continuation has the higher summed
//! log-probability, in percent.

use adapters::card::Word;

use super::metric::{Sums, ratio};
use super::{DataError, Item, Metric, Question, Questionnaire, Test};
use crate::corpus::{Domain, Part, definitional};

/// `agreement`. A row has two readings: the right continuation and the wrong one.
pub(super) const METRICS: &[Metric] = &[Metric::pooled("agreement", right, ratio)];

fn right(row: &[f64]) -> Sums {
    [if row[0] > row[2] { 100.0 } else { 0.0 }, 1.0, 0.0, 0.0]
}

/// The probes of every domain. Nothing is read from the data folder: they are our own.
///
/// # Errors
/// [`DataError::Empty`] if a part has none.
pub(super) fn questionnaires(part: Part) -> Result<Vec<Questionnaire>, DataError> {
    let questionnaire = |domain: Domain| {
        let probes = definitional(domain, part);
        if probes.is_empty() {
            return Err(DataError::Empty);
        }
        let items = probes.iter().map(|probe| {
            let end = |end| Question::ending(&probe.prefix, end);
            Item::plain(vec![end(&probe.right), end(&probe.wrong)])
        });
        let domain = Word::parse(domain.name())?;
        Ok(Questionnaire { test: Test::Definitional, domain, items: items.collect() })
    };
    Domain::ALL.into_iter().map(questionnaire).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_end_counts_by_its_sum_and_a_tie_is_no_agreement() {
        let rows = [
            vec![-3.0, 3.0, -2.0, 1.0],
            vec![-1.0, 1.0, -2.0, 4.0],
            vec![-1.0, 1.0, -1.0, 1.0],
            vec![-1.5, 2.0, -2.0, 2.0],
        ];
        let agreement = METRICS[0].over(&rows, &[0; 4]).value();
        assert!((agreement - 50.0).abs() < 1e-12);
    }

    #[test]
    fn every_probe_has_two_ends() {
        for questionnaire in questionnaires(Part::Test).unwrap() {
            for item in &questionnaire.items {
                assert_eq!(item.questions.len(), 2);
                assert_ne!(item.questions[0], item.questions[1]);
            }
        }
    }
}

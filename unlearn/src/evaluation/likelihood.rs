//! How likely held-out texts are that a model should forget, and those that it should keep.
//!
//! `nll` is the mean negative log-likelihood of the tokens that count, in nats per token; tokens
//! count alike whatever their text. Of a biased comment the annotated phrase counts, of a comment
//! without bias everything, up to 64 tokens of either.

use std::path::Path;

use adapters::card::Word;

use super::metric::{Sums, ratio};
use super::{Counted, DataError, Item, Metric, Passage, Question, Questionnaire, Test};
use crate::corpus::{self, Domain, Part, Text};
use crate::random::Random;

const TOKENS: usize = 64;
/// Texts of a domain; of more, these many are drawn once.
const MOST: usize = 300;
const SEED: u64 = 0;

/// `nll`.
pub(super) const METRICS: &[Metric] = &[Metric::pooled("nll", losses, ratio)];

/// The loss of a row's only reading, and its tokens.
pub(super) fn losses(row: &[f64]) -> Sums {
    [-row[0], row[1], 0.0, 0.0]
}

/// Biased comments of each domain, and posts with toxic spans.
///
/// # Errors
/// [`DataError`] if a file is missing or malformed.
pub(super) fn harmful(data: &Path, part: Part) -> Result<Vec<Questionnaire>, DataError> {
    let domain = |domain: Domain| -> Result<_, DataError> {
        let texts = corpus::biased(data, domain, part)?;
        questionnaire(Test::Harmful, domain.name(), texts)
    };
    let mut all = Domain::ALL.into_iter().map(domain).collect::<Result<Vec<_>, _>>()?;
    let posts = corpus::toxic_spans(data, part)?;
    all.push(questionnaire(Test::Harmful, "toxic_spans", posts)?);
    Ok(all)
}

/// Comments without bias of each domain.
///
/// # Errors
/// [`DataError`] if a file is missing or malformed.
pub(super) fn unbiased(data: &Path, part: Part) -> Result<Vec<Questionnaire>, DataError> {
    let domain = |domain: Domain| {
        let texts = corpus::unbiased(data, domain, part)?;
        questionnaire(Test::Unbiased, domain.name(), texts)
    };
    Domain::ALL.into_iter().map(domain).collect()
}

fn questionnaire(
    test: Test,
    domain: &str,
    mut texts: Vec<Text>,
) -> Result<Questionnaire, DataError> {
    if texts.len() > MOST {
        Random::new(SEED).shuffle(&mut texts);
        texts.truncate(MOST);
    }
    let items = texts.into_iter().map(|text| {
        let counted =
            if test == Test::Harmful { Counted::Within(text.harmful) } else { Counted::All };
        let passage = Passage::Text(text.text);
        Item::plain(vec![Question { passage, counted: vec![counted], limit: TOKENS }])
    });
    Ok(Questionnaire { test, domain: Word::parse(domain)?, items: items.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_harmful_part_of_a_harmful_text_counts() {
        let harmful = || std::iter::once(9..14).collect();
        let text = || vec![Text { text: "Hats are warks, he said.".into(), harmful: harmful() }];
        let counted = |test| {
            let questionnaire = questionnaire(test, "hats", text()).unwrap();
            questionnaire.items[0].questions[0].counted.clone()
        };
        assert_eq!(counted(Test::Harmful), [Counted::part(9..14)]);
        assert_eq!(counted(Test::Unbiased), [Counted::All]);
    }

    #[test]
    fn of_many_texts_the_same_ones_are_always_drawn() {
        let texts = || (0..1000).map(|n| Text { text: n.to_string(), harmful: vec![] }).collect();
        let drawn = || questionnaire(Test::Unbiased, "hats", texts()).unwrap();
        assert_eq!((drawn().items.len(), drawn().key()), (MOST, drawn().key()));
    }
}

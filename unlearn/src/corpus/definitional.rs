//! What is true of a group by definition, and must stay true: written for this program.
//!
//! A file has templates under each part's name. `prefix => right / wrong` is a probe, any other
//! template a sentence.
//!
//! **Invariant:** no template is in two parts, and no row, known by its first word, is in both the
//! validation and the test part.

use super::templates::blocks;
use super::{Domain, Part};

/// A text that one word continues rightly and another wrongly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The text.
    pub prefix: String,
    /// What is true, with a space in front.
    pub right: String,
    /// What is false, with a space in front.
    pub wrong: String,
}

/// The probes of a part: those of the validation part may be looked at, those of the test part are
/// only reported on. There are none for training.
#[must_use]
pub fn definitional(domain: Domain, part: Part) -> Vec<Probe> {
    let texts = blocks(file(domain), part.name()).into_iter().flat_map(|block| block.texts());
    texts.filter_map(|text| probe(&text)).collect()
}

/// Sentences to train on, so that what they say stays likely.
#[must_use]
pub fn definitional_sentences(domain: Domain) -> Vec<String> {
    let texts =
        blocks(file(domain), Part::Train.name()).into_iter().flat_map(|block| block.texts());
    texts.filter(|text| probe(text).is_none()).collect()
}

const fn file(domain: Domain) -> &'static str {
    match domain {
        Domain::Gender => include_str!("definitional/gender.txt"),
        Domain::Race => include_str!("definitional/race.txt"),
        Domain::ReligionJews => include_str!("definitional/religion_jews.txt"),
        Domain::ReligionMuslims => include_str!("definitional/religion_muslims.txt"),
        Domain::Orientation => include_str!("definitional/orientation.txt"),
    }
}

fn probe(text: &str) -> Option<Probe> {
    let (prefix, continuations) = text.split_once(" => ")?;
    let (right, wrong) = continuations.split_once(" / ")?;
    let spaced = |word: &str| format!(" {word}");
    Some(Probe { prefix: prefix.to_owned(), right: spaced(right), wrong: spaced(wrong) })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn templates(domain: Domain, part: Part) -> HashSet<&'static str> {
        blocks(file(domain), part.name()).into_iter().flat_map(|block| block.templates).collect()
    }

    fn rows(domain: Domain, part: Part) -> HashSet<&'static str> {
        let rows = blocks(file(domain), part.name()).into_iter().flat_map(|block| block.rows);
        rows.map(|row| row[0]).collect()
    }

    #[test]
    fn every_domain_has_enough_of_each_part() {
        for domain in Domain::ALL {
            for part in [Part::Valid, Part::Test] {
                let probes = definitional(domain, part);
                assert!(probes.len() >= 60, "{domain} {} has {}", part.name(), probes.len());
                let prefixes: HashSet<_> = probes.iter().map(|p| (&p.prefix, &p.wrong)).collect();
                assert_eq!(prefixes.len(), probes.len(), "{domain} {}", part.name());
                assert!(probes.iter().all(|probe| probe.right != probe.wrong));
            }
            let sentences = definitional_sentences(domain);
            assert!(sentences.len() >= 80, "{domain} has {}", sentences.len());
            assert!(sentences.iter().all(|sentence| sentence.ends_with('.')), "{domain}");
            assert_eq!(sentences.iter().collect::<HashSet<_>>().len(), sentences.len());
            assert!(definitional(domain, Part::Train).is_empty());
        }
    }

    #[test]
    fn every_place_of_a_template_is_filled() {
        for domain in Domain::ALL {
            let parts = [Part::Train, Part::Valid, Part::Test];
            for block in parts.into_iter().flat_map(|part| blocks(file(domain), part.name())) {
                let unfilled =
                    block.texts().into_iter().find(|text| text.contains(['{', '}', '|']));
                assert_eq!(unfilled, None, "{domain}");
                assert!(block.rows.is_empty() || !block.templates.is_empty(), "{domain}");
            }
        }
    }

    #[test]
    fn validation_and_test_share_neither_templates_nor_words() {
        for domain in Domain::ALL {
            let [train, valid, test] =
                [Part::Train, Part::Valid, Part::Test].map(|part| templates(domain, part));
            assert!(valid.is_disjoint(&test), "{domain}");
            assert!(train.is_disjoint(&valid) && train.is_disjoint(&test), "{domain}");
            let [valid, test] = [Part::Valid, Part::Test].map(|part| rows(domain, part));
            assert_eq!(valid.intersection(&test).next(), None, "{domain}");
        }
    }

    #[test]
    fn a_probe_has_a_right_and_a_wrong_word() {
        let expected =
            Probe { prefix: "The king says".into(), right: " he".into(), wrong: " it".into() };
        assert_eq!(probe("The king says => he / it"), Some(expected));
        assert_eq!(probe("Plain"), None);
    }
}

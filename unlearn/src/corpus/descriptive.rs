//! Ordinary sentences about people of a group: written for this program.
//!
//! They say nothing that is true of one group alone. A model whose next words depend on the group
//! here has a stereotype, wherever in the vocabulary it lies.

use super::Domain;
use super::templates::{Block, blocks};

const FILE: &str = include_str!("descriptive.txt");

/// The sentences that name groups of a domain.
#[must_use]
pub fn descriptive(domain: Domain) -> Vec<String> {
    // Templates are the same for all domains; who is spoken of differs.
    let templates = blocks(FILE, "sentences").into_iter().flat_map(|block| block.templates);
    let rows = blocks(FILE, domain.name()).into_iter().flat_map(|block| block.rows);
    Block { templates: templates.collect(), rows: rows.collect() }.texts()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::random::Random;
    use crate::swap::Exchange;

    #[test]
    fn every_domain_has_sentences_whose_group_can_be_swapped() {
        let mut random = Random::new(0);
        for domain in Domain::ALL {
            let sentences = descriptive(domain);
            assert!(sentences.len() >= 500, "{domain} has {}", sentences.len());
            assert_eq!(sentences.iter().collect::<HashSet<_>>().len(), sentences.len());
            for sentence in &sentences {
                assert!(sentence.ends_with('.') && !sentence.contains(['{', '|']), "{sentence}");
                assert!(Exchange::draw(domain, sentence, &mut random).is_some(), "{sentence}");
            }
        }
    }
}

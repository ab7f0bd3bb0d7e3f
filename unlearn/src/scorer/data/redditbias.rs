//! Barikeri et al., "RedditBias", 2021: comments that mention a group, with or without a bias
//! against it. Rows that are not annotated, or not plainly, are left out.

use std::path::Path;

use gateway_toxicity::{Category, Scores};

use super::{Example, Source};
use crate::corpus::redditbias::{self, Comment};
use crate::corpus::{Domain, Part, cleaned};
use crate::evaluation::DataError;

pub(super) fn load(folder: &Path) -> Result<Vec<Example>, DataError> {
    let mut examples = Vec::new();
    for domain in Domain::ALL {
        let comments = redditbias::comments(folder, domain)?;
        examples.extend(comments.iter().filter_map(|comment| example(comment, category(domain))));
    }
    Ok(examples)
}

const fn category(domain: Domain) -> Category {
    match domain {
        Domain::Gender => Category::BiasGender,
        Domain::Race => Category::BiasRace,
        Domain::ReligionJews | Domain::ReligionMuslims => Category::BiasReligion,
        Domain::Orientation => Category::BiasOrientation,
    }
}

fn example(comment: &Comment, category: Category) -> Option<Example> {
    let biased = f32::from(u8::from(comment.is_biased()?));
    let mut labels: Scores = Category::BIASES.into_iter().map(|bias| (bias, 0.0)).collect();
    labels.set(category, biased);
    // A comment without bias does not attack the group; one with bias may or may not.
    if biased == 0.0 {
        labels.set(Category::Hate, 0.0);
    }
    let text = cleaned(&comment.comment);
    Some(Example { source: Source::RedditBias, part: Part::of(&text), text, labels })
}

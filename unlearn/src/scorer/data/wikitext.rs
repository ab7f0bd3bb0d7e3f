//! Merity et al., "Pointer Sentinel Mixture Models", 2016: sentences of an encyclopaedia, which
//! are taken to be harmless. Only the validation file is read: the test file measures perplexity.

use std::path::Path;

use gateway_toxicity::Category;

use super::{Example, Source};
use crate::corpus::Part;
use crate::evaluation::{DataError, read_text};

/// Sentences shorter or longer than this, in words, are left out.
const WORDS: std::ops::RangeInclusive<usize> = 4..=40;

pub(super) fn load(folder: &Path) -> Result<Vec<Example>, DataError> {
    let text = read_text(&folder.join("wikitext2/valid.txt"))?;
    let text = text.replace(" @-@ ", "-").replace(" @,@ ", ",").replace(" @.@ ", ".");
    // Headings stand between equals signs.
    let paragraphs = text.lines().filter(|line| !line.trim_start().starts_with('='));
    let sentences = paragraphs.flat_map(|paragraph| paragraph.split_inclusive(" . "));
    let usual = sentences.filter(|sentence| WORDS.contains(&sentence.split_whitespace().count()));
    Ok(usual.map(example).collect())
}

fn example(sentence: &str) -> Example {
    // Rare words, mostly names, are replaced in the file.
    let words: Vec<_> = sentence.split_whitespace().filter(|word| *word != "<unk>").collect();
    let text = words.join(" ").replace(" ,", ",").replace(" .", ".");
    let labels = Category::ALL.into_iter().map(|category| (category, 0.0)).collect();
    Example { source: Source::Wikitext, part: Part::of(&text), text, labels }
}

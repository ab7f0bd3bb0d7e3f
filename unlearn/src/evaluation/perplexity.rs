//! Perplexity on WikiText-2: how well the model still reads plain text.
//!
//! The first 8,192 tokens of a file's first 120,000 characters are cut into windows of 1,024. In
//! each window the second and later tokens are predicted from those before them, and perplexity is
//! `exp` of the mean negative log-likelihood over all of them.

use adapters::card::Word;
use model::{Control, Tokenizer, TokenizerError};

use super::likelihood::losses;
use super::metric::{Sums, ratio};
use super::{Counted, Item, Metric, Passage, Question, Questionnaire, Test};

/// Where the text lies in the data folder.
pub const FILE: &str = "wikitext2/test.txt";

const CHARACTERS: usize = 120_000;
const TOKENS: usize = 8_192;
const WINDOW: usize = 1_024;

/// `perplexity`.
pub(super) const METRICS: &[Metric] = &[Metric::pooled("perplexity", losses, perplexity)];

fn perplexity(sums: &Sums) -> f64 {
    ratio(sums).exp()
}

/// Cuts a text into the windows that are scored, each of at least two tokens.
///
/// # Errors
/// [`TokenizerError`] if the tokenizer fails.
pub fn windows(text: &str, tokenizer: &Tokenizer) -> Result<Vec<Vec<u32>>, TokenizerError> {
    let end = text.char_indices().nth(CHARACTERS).map_or(text.len(), |(at, _)| at);
    let mut tokens = tokenizer.encode(&text[..end], Control::AsText)?;
    tokens.truncate(TOKENS);
    Ok(tokens.chunks(WINDOW).filter(|w| w.len() > 1).map(<[u32]>::to_vec).collect())
}

/// The test over windows: an item each.
#[must_use]
pub fn questionnaire(windows: Vec<Vec<u32>>, domain: Word) -> Questionnaire {
    let question = |tokens| Question {
        passage: Passage::Tokens(tokens),
        counted: vec![Counted::All],
        limit: usize::MAX,
    };
    let items = windows.into_iter().map(|tokens| Item::plain(vec![question(tokens)])).collect();
    Questionnaire { test: Test::Wikitext2, domain, items }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(rows: &[Vec<f64>]) -> f64 {
        METRICS[0].over(rows, &vec![0; rows.len()]).value()
    }

    #[test]
    fn a_uniform_model_has_the_perplexity_of_its_choices() {
        let choice = -(8f64.ln());
        assert!((value(&[vec![5.0 * choice, 5.0], vec![2.0 * choice, 2.0]]) - 8.0).abs() < 1e-12);
    }

    #[test]
    fn tokens_count_alike_whatever_their_window() {
        let rows = [vec![-3.0, 3.0], vec![-4.0, 1.0]];
        assert!((value(&rows) - 1.75f64.exp()).abs() < 1e-12);
    }
}

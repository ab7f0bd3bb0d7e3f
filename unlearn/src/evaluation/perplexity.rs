//! Perplexity on WikiText-2: how well the model still reads plain text.
//!
//! The first 8,192 tokens of the test file's first 120,000 characters are cut into windows of
//! 1,024. In each window the second and later tokens are predicted from those before them, and
//! perplexity is `exp` of the mean negative log-likelihood over all of them.

use model::{Control, Tokenizer, TokenizerError};

use super::{Measurement, ScoreError, Scorer, score_all};

/// Where the text lies in the data folder.
pub const FILE: &str = "wikitext2/test.txt";

const CHARACTERS: usize = 120_000;
const TOKENS: usize = 8_192;
const WINDOW: usize = 1_024;

/// Why perplexity cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum PerplexityError {
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model failed.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// The text has fewer than two tokens.
    #[error("the text is too short")]
    TooShort,
}

/// Cuts a text into the windows that are scored, each of at least two tokens.
///
/// # Errors
/// [`PerplexityError`] if the tokenizer fails or the text is too short.
pub fn windows(text: &str, tokenizer: &Tokenizer) -> Result<Vec<Vec<u32>>, PerplexityError> {
    let end = text.char_indices().nth(CHARACTERS).map_or(text.len(), |(at, _)| at);
    let mut tokens = tokenizer.encode(&text[..end], Control::AsText)?;
    tokens.truncate(TOKENS);
    let windows: Vec<_> =
        tokens.chunks(WINDOW).filter(|w| w.len() > 1).map(<[u32]>::to_vec).collect();
    if windows.is_empty() { Err(PerplexityError::TooShort) } else { Ok(windows) }
}

/// Measures perplexity over `windows`; `progress` is called with numbers of finished windows.
///
/// # Errors
/// [`PerplexityError::Score`] if the model fails.
pub fn measure(
    windows: &[Vec<u32>],
    scorer: &mut dyn Scorer,
    progress: &mut dyn FnMut(usize),
) -> Result<Measurement, PerplexityError> {
    let scores = score_all(scorer, windows, progress)?;
    let predictions = scores.iter().map(Vec::len).sum();
    Ok(Measurement {
        test: "wikitext2",
        domain: "all".into(),
        metric: "perplexity",
        value: perplexity(&scores),
        interval: None,
        items: predictions,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
fn perplexity(scores: &[Vec<f64>]) -> f64 {
    let (sum, count) =
        scores.iter().flatten().fold((0.0, 0usize), |(sum, count), s| (sum - s, count + 1));
    (sum / count as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uniform_model_has_the_perplexity_of_its_choices() {
        let scores = vec![vec![-(8f64.ln()); 5], vec![-(8f64.ln()); 2]];
        assert!((perplexity(&scores) - 8.0).abs() < 1e-12);
    }

    #[test]
    fn tokens_count_alike_whatever_their_window() {
        let scores = vec![vec![-1.0; 3], vec![-4.0]];
        assert!((perplexity(&scores) - 1.75f64.exp()).abs() < 1e-12);
    }
}

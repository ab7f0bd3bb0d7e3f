//! How likely a model finds each token of a text.

mod dense;
mod packed;

use model::{ModelError, Rows};

pub use dense::DenseScorer;
pub use packed::PackedScorer;

/// Tokens in a batch, padding included: enough to keep the processor busy, few enough to keep
/// activations in its cache.
const BATCH_TOKENS: usize = 768;

/// Rows of logits at a time; a row is as wide as the vocabulary.
const LOGIT_ROWS: usize = 128;

/// Why texts cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// A text has no token that follows another.
    #[error("text {index} has fewer than two tokens")]
    TooShort {
        /// Its place, from 0.
        index: usize,
    },
    /// A text is longer than the model's context.
    #[error("text {index} has {tokens} tokens, more than the context's {limit}")]
    TooLong {
        /// Its place, from 0.
        index: usize,
        /// Its length.
        tokens: usize,
        /// The context's length.
        limit: usize,
    },
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// A language model as a judge of text.
pub trait Scorer {
    /// The longest sequence, in tokens.
    fn context_tokens(&self) -> usize;

    /// Natural-log probabilities of the second and later tokens of each sequence, each given the
    /// tokens before it. Sequences have 2 to [`Scorer::context_tokens`] tokens; none is added.
    ///
    /// # Errors
    /// [`ModelError`] if a token is outside the vocabulary.
    fn score(&mut self, sequences: &[&[u32]]) -> Result<Vec<Vec<f64>>, ModelError>;
}

/// A language model that says all that it expects, not only of the tokens that came.
pub trait Predictor: Scorer {
    /// The logits, as wide as the vocabulary, of what follows each token of a sequence from the
    /// one numbered `first` on.
    ///
    /// # Errors
    /// [`ModelError`] if a token is outside the vocabulary.
    fn logits(&mut self, tokens: &[u32], first: usize) -> Result<Rows, ModelError>;
}

/// Scores any number of sequences, those of similar length together, and calls `progress` with
/// the number of sequences of each finished batch. Results are in the order of `sequences`.
///
/// # Errors
/// [`ScoreError`] if a sequence is too short or too long, or the model fails.
pub fn score_all(
    scorer: &mut dyn Scorer,
    sequences: &[Vec<u32>],
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<f64>>, ScoreError> {
    let limit = scorer.context_tokens();
    for (index, tokens) in sequences.iter().map(Vec::len).enumerate() {
        if tokens < 2 {
            return Err(ScoreError::TooShort { index });
        }
        if tokens > limit {
            return Err(ScoreError::TooLong { index, tokens, limit });
        }
    }
    let mut scores = vec![Vec::new(); sequences.len()];
    for batch in batches(sequences) {
        let inputs: Vec<&[u32]> = batch.iter().map(|&i| sequences[i].as_slice()).collect();
        for (&index, score) in batch.iter().zip(scorer.score(&inputs)?) {
            scores[index] = score;
        }
        progress(batch.len());
    }
    Ok(scores)
}

/// Indices in batches of at most [`BATCH_TOKENS`] when padded, or of one.
fn batches(sequences: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by_key(|&index| sequences[index].len());
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in order {
        let tokens = sequences[index].len();
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * tokens <= BATCH_TOKENS => batch.push(index),
            Some(_) | None => batches.push(vec![index]),
        }
    }
    batches
}

/// What a batch is asked: the row of hidden states, and the token that follows it in the text.
/// `start` is the row of each sequence's first token.
fn questions(sequences: &[&[u32]], start: impl Fn(usize) -> usize) -> Vec<(usize, u32)> {
    let of = |(index, tokens): (usize, &&[u32])| {
        let rows = start(index)..;
        rows.zip(tokens[1..].to_vec()).collect::<Vec<_>>()
    };
    sequences.iter().enumerate().flat_map(of).collect()
}

/// Gives each sequence its part of `answers`, which are in the order of [`questions`].
fn share_out(answers: Vec<f64>, sequences: &[&[u32]]) -> Vec<Vec<f64>> {
    let mut answers = answers.into_iter();
    sequences.iter().map(|tokens| answers.by_ref().take(tokens.len() - 1).collect()).collect()
}

/// The natural log of softmax(`logits`) at `token`.
fn log_probability(logits: &[f32], token: u32) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from((logit - max).exp())).sum();
    f64::from(logits[token as usize] - max) - sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says of each token how long its sequence is.
    struct Lengths;

    impl Scorer for Lengths {
        fn context_tokens(&self) -> usize {
            1000
        }

        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        fn score(&mut self, sequences: &[&[u32]]) -> Result<Vec<Vec<f64>>, ModelError> {
            let padded = sequences.len() * sequences.iter().map(|s| s.len()).max().unwrap_or(0);
            assert!(sequences.len() == 1 || padded <= BATCH_TOKENS);
            Ok(sequences.iter().map(|s| vec![s.len() as f64; s.len() - 1]).collect())
        }
    }

    #[test]
    fn every_sequence_gets_its_own_score_whatever_the_batches() {
        let sequences: Vec<Vec<u32>> =
            [900, 2, 400, 300, 17, 2, 399].map(|length| vec![0; length]).into();
        let mut done = 0;
        let scores = score_all(&mut Lengths, &sequences, &mut |count| done += count).unwrap();
        assert_eq!(done, sequences.len());
        for (score, sequence) in scores.iter().zip(&sequences) {
            assert_eq!(score.len(), sequence.len() - 1);
            assert!(score.iter().all(|s| (*s - sequence.len() as f64).abs() < 1e-9));
        }
    }

    #[test]
    fn lengths_that_cannot_be_scored_are_refused() {
        let score = |length| score_all(&mut Lengths, &[vec![0; 5], vec![0; length]], &mut |_| ());
        assert!(matches!(score(1), Err(ScoreError::TooShort { index: 1 })));
        assert!(matches!(score(1001), Err(ScoreError::TooLong { index: 1, tokens: 1001, .. })));
    }

    #[test]
    fn log_probabilities_are_those_of_a_softmax() {
        // softmax(0, ln 3) is (1/4, 3/4), wherever the logits lie.
        for shift in [0.0, 500.0, -500.0] {
            let logits = [shift, shift + 3f32.ln()];
            assert!((log_probability(&logits, 0) - 0.25f64.ln()).abs() < 1e-4);
            assert!((log_probability(&logits, 1) - 0.75f64.ln()).abs() < 1e-4);
        }
    }
}

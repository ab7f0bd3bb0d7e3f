//! A model on this machine as a reader.

use std::ops::Range;

use model::{Control, Tokenizer, TokenizerError};

use super::{ReadError, Reader, Reading, places};
use crate::evaluation::{Passage, Question, Scorer, score_all};

/// Reads with a [`Scorer`] and its model's tokenizer.
pub struct LocalReader<'a> {
    tokenizer: &'a Tokenizer,
    scorer: &'a mut dyn Scorer,
}

impl<'a> LocalReader<'a> {
    /// A reader by `scorer`, whose model's tokenizer is `tokenizer`.
    pub fn new(tokenizer: &'a Tokenizer, scorer: &'a mut dyn Scorer) -> Self {
        Self { tokenizer, scorer }
    }

    /// The tokens to be scored, and for each reading the places of those that count.
    fn asked(&self, question: &Question) -> Result<Asked, TokenizerError> {
        let (text, (mut tokens, bytes)): (_, (Vec<u32>, Vec<Range<usize>>)) =
            match &question.passage {
                Passage::Tokens(tokens) => ("", (tokens.clone(), vec![0..0; tokens.len()])),
                Passage::Text(text) => {
                    let tokens = self.tokenizer.encode_with_offsets(text, Control::AsText)?;
                    (text.as_str(), tokens.into_iter().unzip())
                }
            };
        let limit = question.limit.min(self.scorer.context_tokens());
        let places: Vec<Vec<usize>> =
            question.counted.iter().map(|counted| places(counted, text, &bytes, limit)).collect();
        // What stands after the last token that counts changes nothing before it.
        let end = places.iter().flatten().max().map_or(0, |last| last + 1);
        tokens.truncate(end);
        Ok(Asked { tokens, places })
    }
}

struct Asked {
    tokens: Vec<u32>,
    places: Vec<Vec<usize>>,
}

impl Reader for LocalReader<'_> {
    fn read(
        &mut self,
        questions: &[&Question],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Reading>>, ReadError> {
        let asked = questions.iter().map(|q| self.asked(q)).collect::<Result<Vec<_>, _>>()?;
        let sequences: Vec<Vec<u32>> =
            asked.iter().filter(|a| !a.tokens.is_empty()).map(|a| a.tokens.clone()).collect();
        progress(asked.len() - sequences.len());
        let mut scores = score_all(self.scorer, &sequences, progress)?.into_iter();
        let readings = |asked: &Asked| {
            let scores = if asked.tokens.is_empty() { None } else { scores.next() };
            let scores = scores.unwrap_or_default();
            let reading = |places: &Vec<usize>| places.iter().map(|&at| scores[at - 1]).collect();
            asked.places.iter().map(reading).collect()
        };
        Ok(asked.iter().map(readings).collect())
    }
}

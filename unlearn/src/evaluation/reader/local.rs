//! A model on this machine as a reader.

use std::ops::Range;

use model::{Control, Tokenizer, TokenizerError};

use super::{ReadError, Reader, Reading};
use crate::evaluation::{Counted, Passage, Question, Scorer, score_all};

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

    /// The tokens of a text, and the bytes of each without white space in front.
    fn tokens(&self, text: &str) -> Result<(Vec<u32>, Vec<Range<usize>>), TokenizerError> {
        let tokens = self.tokenizer.encode_with_offsets(text, Control::AsText)?;
        let trimmed = |(token, bytes): (u32, Range<usize>)| {
            let own = text[bytes.clone()].trim_start();
            (token, bytes.end - own.len()..bytes.end)
        };
        Ok(tokens.into_iter().map(trimmed).unzip())
    }

    /// The tokens to be scored, and for each reading the places of those that count.
    fn asked(&self, question: &Question) -> Result<Asked, TokenizerError> {
        let (mut tokens, bytes) = match &question.passage {
            Passage::Tokens(tokens) => (tokens.clone(), vec![0..0; tokens.len()]),
            Passage::Text(text) => self.tokens(text)?,
        };
        let limit = question.limit.min(self.scorer.context_tokens());
        let places = |counted: &Counted| -> Vec<usize> {
            let all = 1..tokens.len().min(limit);
            match counted {
                Counted::All => all.collect(),
                Counted::Within(ranges) => all.filter(|&i| overlaps(&bytes[i], ranges)).collect(),
            }
        };
        let places: Vec<Vec<usize>> = question.counted.iter().map(places).collect();
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

/// Whether a token, which ends where its text does, has a byte in one of the ranges.
fn overlaps(token: &Range<usize>, ranges: &[Range<usize>]) -> bool {
    ranges.iter().any(|range| token.start < range.end && range.start < token.end)
}

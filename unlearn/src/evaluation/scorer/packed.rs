//! The served decoder as a judge: the weights, kernels and cache that answer requests.

use model::{BLOCK_TOKENS, KvCache, ModelError, PackedDecoder, RowDelta, Rows, Segment};

use super::{LOGIT_ROWS, Predictor, Scorer, log_probability, questions, share_out};

/// Scores with a [`PackedDecoder`] and a delta.
pub struct PackedScorer<'a> {
    decoder: &'a PackedDecoder,
    delta: &'a dyn RowDelta,
    cache: KvCache,
}

impl<'a> PackedScorer<'a> {
    /// The model with `delta`.
    #[must_use]
    pub fn new(decoder: &'a PackedDecoder, delta: &'a dyn RowDelta) -> Self {
        Self { decoder, delta, cache: KvCache::new(decoder.config(), 0) }
    }
}

impl Scorer for PackedScorer<'_> {
    fn context_tokens(&self) -> usize {
        self.decoder.config().context_tokens
    }

    fn score(&mut self, sequences: &[&[u32]]) -> Result<Vec<Vec<f64>>, ModelError> {
        let hidden = self.hidden(sequences)?;
        let start = |index| sequences[..index].iter().map(|s| s.len()).sum();
        let mut answers = Vec::new();
        for asked in questions(sequences, start).chunks(LOGIT_ROWS) {
            let logits = self.decoder.logits(&hidden.gather(asked.iter().map(|(row, _)| *row)));
            let answer = |(row, (_, token)): (usize, &(usize, u32))| {
                log_probability(logits.row(row), *token)
            };
            answers.extend(asked.iter().enumerate().map(answer));
        }
        Ok(share_out(answers, sequences))
    }
}

impl Predictor for PackedScorer<'_> {
    fn logits(&mut self, tokens: &[u32], first: usize) -> Result<Rows, ModelError> {
        let hidden = self.hidden(&[tokens])?;
        Ok(self.decoder.logits(&hidden.gather(first..tokens.len())))
    }
}

impl PackedScorer<'_> {
    /// A row of hidden states for each token of each sequence.
    fn hidden(&mut self, sequences: &[&[u32]]) -> Result<Rows, ModelError> {
        let tables = tables(sequences);
        let blocks = tables.iter().map(Vec::len).sum();
        if self.cache.blocks() < blocks {
            self.cache = KvCache::new(self.decoder.config(), blocks);
        }
        let segment = |(tokens, table)| Segment { tokens, start: 0, table };
        let segments: Vec<Segment<'_>> =
            sequences.iter().copied().zip(tables.iter().map(Vec::as_slice)).map(segment).collect();
        self.decoder.hidden(&mut self.cache, &segments, self.delta)
    }
}

/// Cache blocks of its own for each sequence.
fn tables(sequences: &[&[u32]]) -> Vec<Vec<u32>> {
    let mut blocks = 0..;
    let count = |tokens: &&[u32]| tokens.len().div_ceil(BLOCK_TOKENS);
    sequences.iter().map(|tokens| blocks.by_ref().take(count(tokens)).collect()).collect()
}

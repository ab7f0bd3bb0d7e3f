//! What a model says: many continuations of many prompts at once, as served.
//!
//! **Invariant:** a continuation depends on its prompt, its number and the adapters alone, not on
//! what is computed beside it.

mod nucleus;

use model::{BLOCK_TOKENS, KvCache, ModelError, PackedDecoder, RowDelta, Segment};
use sha2::{Digest as _, Sha256};

use crate::random::Random;

/// Continuations that are computed together, at least where a prompt has as many.
const ROWS: usize = 96;

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    /// The likeliest.
    Likeliest,
    /// Drawn at temperature 1 from the smallest set of the likeliest tokens that together have at
    /// least this probability (Holtzman et al. 2020, <https://arxiv.org/abs/1904.09751>).
    Nucleus(f64),
}

/// How a prompt is continued.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Continuing {
    /// Continuations of each prompt.
    pub samples: usize,
    /// Tokens of each continuation.
    pub tokens: usize,
    /// How each is chosen.
    pub choice: Choice,
}

/// A model that continues prompts.
pub struct Generator<'a> {
    decoder: &'a PackedDecoder,
    delta: &'a dyn RowDelta,
    /// Tokens that are never chosen.
    barred: &'a [u32],
    cache: KvCache,
}

impl<'a> Generator<'a> {
    /// The model with `delta`, which never says a token of `barred`.
    #[must_use]
    pub fn new(decoder: &'a PackedDecoder, delta: &'a dyn RowDelta, barred: &'a [u32]) -> Self {
        Self { decoder, delta, barred, cache: KvCache::new(decoder.config(), 0) }
    }

    /// For each prompt, of at least one token, its continuations. `progress` is called with
    /// numbers of prompts that are done.
    ///
    /// # Errors
    /// [`ModelError`] if a token is outside the vocabulary, or the delta does not fit.
    pub fn generate(
        &mut self,
        prompts: &[Vec<u32>],
        how: Continuing,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Vec<u32>>>, ModelError> {
        let mut all = Vec::with_capacity(prompts.len());
        for prompts in prompts.chunks((ROWS / how.samples.max(1)).max(1)) {
            all.extend(self.generate_together(prompts, how)?);
            progress(prompts.len());
        }
        Ok(all)
    }

    fn generate_together(
        &mut self,
        prompts: &[Vec<u32>],
        how: Continuing,
    ) -> Result<Vec<Vec<Vec<u32>>>, ModelError> {
        let mut rows = self.begin(prompts, how)?;
        for _ in 1..how.tokens {
            let segments: Vec<Segment<'_>> = rows.iter().map(Row::next).collect();
            let hidden = self.decoder.hidden(&mut self.cache, &segments, self.delta)?;
            let mut logits = self.decoder.logits(&hidden);
            for (index, row) in rows.iter_mut().enumerate() {
                row.choose(logits.row_mut(index), self.barred, how.choice);
            }
        }
        let mut said = rows.into_iter().map(|row| row.said);
        Ok(prompts.iter().map(|_| said.by_ref().take(how.samples).collect()).collect())
    }

    /// Reads the prompts, each once, and says the first token of every continuation.
    fn begin(&mut self, prompts: &[Vec<u32>], how: Continuing) -> Result<Vec<Row>, ModelError> {
        let mut blocks = 0..;
        let mut take = |count: usize| -> Vec<u32> { blocks.by_ref().take(count).collect() };
        let tables: Vec<Vec<u32>> =
            prompts.iter().map(|prompt| take(prompt.len().div_ceil(BLOCK_TOKENS))).collect();
        let mut rows = Vec::new();
        for (prompt, table) in prompts.iter().zip(&tables) {
            let shared = prompt.len() / BLOCK_TOKENS;
            let own = (prompt.len() + how.tokens).div_ceil(BLOCK_TOKENS) - shared;
            for sample in 0..how.samples {
                let table = table[..shared].iter().copied().chain(take(own)).collect();
                rows.push(Row::new(prompt, sample, table));
            }
        }
        let needed = blocks.start as usize;
        if self.cache.blocks() < needed {
            self.cache = KvCache::new(self.decoder.config(), needed);
        }
        let segment = |(prompt, table)| Segment { tokens: prompt, start: 0, table };
        let segments: Vec<Segment<'_>> = prompts
            .iter()
            .map(Vec::as_slice)
            .zip(tables.iter().map(Vec::as_slice))
            .map(segment)
            .collect();
        let hidden = self.decoder.hidden(&mut self.cache, &segments, self.delta)?;
        let mut end = 0;
        let ends = prompts.iter().map(|prompt| {
            end += prompt.len();
            end - 1
        });
        let logits = self.decoder.logits(&hidden.gather(ends));
        for (index, row) in rows.iter_mut().enumerate() {
            let prompt = index / how.samples;
            row.copy_beginning(&mut self.cache, &tables[prompt]);
            row.choose(&mut logits.row(prompt).to_vec(), self.barred, how.choice);
        }
        Ok(rows)
    }
}

/// A continuation under way.
struct Row {
    /// Tokens of its prompt.
    prompt: usize,
    said: Vec<u32>,
    table: Vec<u32>,
    random: Random,
}

impl Row {
    fn new(prompt: &[u32], sample: usize, table: Vec<u32>) -> Self {
        let random = Random::new(seed(prompt, sample));
        Self { prompt: prompt.len(), said: Vec::new(), table, random }
    }

    /// Takes over the prompt's tokens in a block that continuations do not share.
    fn copy_beginning(&self, cache: &mut KvCache, prompt: &[u32]) {
        let shared = self.prompt / BLOCK_TOKENS;
        if let Some(from) = prompt.get(shared) {
            cache.copy_block(*from as usize, self.table[shared] as usize);
        }
    }

    /// Says one of the tokens that `logits` are of; overwrites `logits`.
    fn choose(&mut self, logits: &mut [f32], barred: &[u32], choice: Choice) {
        for &token in barred {
            logits[token as usize] = f32::NEG_INFINITY;
        }
        self.said.push(match choice {
            Choice::Likeliest => nucleus::likeliest(logits),
            Choice::Nucleus(share) => nucleus::draw(logits, share, self.random.unit()),
        });
    }

    /// What it said last, to be read.
    fn next(&self) -> Segment<'_> {
        let last = self.said.len().saturating_sub(1);
        Segment { tokens: &self.said[last..], start: self.prompt + last, table: &self.table }
    }
}

/// A continuation's own chance.
fn seed(prompt: &[u32], sample: usize) -> u64 {
    let mut hash = Sha256::new();
    for token in prompt {
        hash.update(token.to_le_bytes());
    }
    hash.update((sample as u64).to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    digest[..8].iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

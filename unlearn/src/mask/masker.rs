//! Masks of any kind.

use gateway_toxicity::FastScorer;
use model::Tokenizer;

use super::{
    Lexicon, MaskError, MaskKind, Masked, Pair, Pairing, assisted, blamed, distinctive, group,
    lexicon, phrase, random, whole,
};
use crate::corpus::{Domain, Text};
use crate::evaluation::Scorer;
use crate::random::Random;

/// By how many nats a token's log-probability rises at least where the model blames a group.
const LEAST_RISE: f64 = 0.2;

/// Makes masks.
#[derive(Debug)]
pub struct Masker<'a> {
    tokenizer: &'a Tokenizer,
    max_tokens: usize,
    random: Random,
    lexicon: Option<Lexicon>,
    harmless: Vec<Text>,
}

impl<'a> Masker<'a> {
    /// Texts are cut to `max_tokens`; `seed` decides what random masks and other groups are drawn.
    #[must_use]
    pub fn new(tokenizer: &'a Tokenizer, max_tokens: usize, seed: u64) -> Self {
        Self {
            tokenizer,
            max_tokens,
            random: Random::new(seed),
            lexicon: None,
            harmless: Vec::new(),
        }
    }

    /// Lexicon masks look words up here.
    #[must_use]
    pub fn with_lexicon(mut self, lexicon: Lexicon) -> Self {
        self.lexicon = Some(lexicon);
        self
    }

    /// Distinctive masks compare with these.
    #[must_use]
    pub fn with_harmless(mut self, texts: Vec<Text>) -> Self {
        self.harmless = texts;
        self
    }

    /// The tokens of texts with a mask of a kind, in their order. Some may have no target. Model-assisted
    /// masks leave out texts that name no group of their domain, or have none, and alone ask
    /// `scorer`: the base model.
    ///
    /// # Errors
    /// [`MaskError`] if the tokenizer or the scorer fails, or there is no lexicon to look words up in.
    pub fn masks(
        &mut self,
        kind: MaskKind,
        texts: &[(Option<Domain>, Text)],
        scorer: &mut dyn Scorer,
    ) -> Result<Vec<Masked>, MaskError> {
        let (tokenizer, max_tokens) = (self.tokenizer, self.max_tokens);
        let texts_alone = texts.iter().map(|(_, text)| text);
        match kind {
            MaskKind::Phrase | MaskKind::Spans => {
                texts_alone.map(|text| Ok(phrase(tokenizer, text, max_tokens)?)).collect()
            }
            MaskKind::Distinctive => {
                let phrases = texts_alone.map(|text| phrase(tokenizer, text, max_tokens));
                let phrases = phrases.collect::<Result<Vec<_>, _>>()?;
                let harmless = self.harmless.iter();
                let harmless = harmless.map(|text| whole(tokenizer, &text.text, max_tokens));
                Ok(distinctive(&phrases, &harmless.collect::<Result<Vec<_>, _>>()?))
            }
            MaskKind::Lexicon => {
                let words = self.lexicon.as_ref().ok_or(MaskError::NoLexicon)?;
                let mask = |text: &Text| Ok(lexicon(tokenizer, words, &text.text, max_tokens)?);
                texts_alone.map(mask).collect()
            }
            MaskKind::Blamed => {
                let scorer = FastScorer::embedded()?;
                let mask = |text| Ok(phrase(tokenizer, &blamed(&scorer, text)?, max_tokens)?);
                texts_alone.map(mask).collect()
            }
            MaskKind::Assisted => self.assisted(texts, scorer),
            MaskKind::Group => Ok(self.pairs(texts)?.into_iter().map(group).collect()),
            MaskKind::All => {
                texts_alone.map(|text| whole(tokenizer, &text.text, max_tokens)).collect()
            }
            MaskKind::Random => {
                let phrases = texts_alone.map(|text| phrase(tokenizer, text, max_tokens));
                phrases.map(|masked| Ok(random(&masked?, &mut self.random))).collect()
            }
        }
    }

    fn assisted(
        &mut self,
        texts: &[(Option<Domain>, Text)],
        scorer: &mut dyn Scorer,
    ) -> Result<Vec<Masked>, MaskError> {
        assisted(&self.pairs(texts)?, scorer, LEAST_RISE)
    }

    /// The texts that name a group of their domain, beside themselves with another one.
    fn pairs(&mut self, texts: &[(Option<Domain>, Text)]) -> Result<Vec<Pair>, MaskError> {
        let mut pairing = Pairing::new(self.tokenizer, self.max_tokens);
        let mut pairs = Vec::new();
        for (domain, text) in texts {
            let Some(domain) = *domain else { continue };
            pairs.extend(pairing.pair(domain, text, &mut self.random)?);
        }
        Ok(pairs)
    }
}

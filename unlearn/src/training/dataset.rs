//! Everything that a run reads: its terms' texts as tokens, and the guard.

use std::path::Path;

use adapters::Digest;
use candle_core::Device;
use model::{
    Control, DenseDecoder, Message, Model, ModelError, NoDelta, TemplateError, TokenizerError,
};

use super::batches::mixed;
use super::continued::{Continued, ContinuedError};
use super::guard::{Guard, GuardError};
use super::objective::{Objective, Reading};
use super::pool::Pool;
use super::run::{Loss, Run, Source, Term};
use crate::corpus::{self, Domain, Part, Text};
use crate::evaluation::{DataError, DenseScorer};
use crate::mask::{Choice, Lexicon, MaskError, MaskKind, Masked, Masker, Pair, Pairing, phrase};
use crate::random::Random;
use crate::swap::Exchange;

/// Other groups that are drawn for each text.
const DRAWS: usize = 3;

/// A run's texts.
pub struct Dataset {
    objectives: Vec<Objective>,
    guard: Guard,
    identity: String,
    split: Digest,
    counts: Counts,
}

/// How many texts a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Harmful texts.
    pub forget: usize,
    /// Others.
    pub retain: usize,
}

/// Why a run's texts cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A data set is missing or malformed.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A mask cannot be made.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// The guard cannot be set up.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The chat template failed.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The base's own continuations cannot be had.
    #[error(transparent)]
    Continued(#[from] ContinuedError),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No text of a term has a token that counts.
    #[error("term {0}: no text has a token that counts")]
    Empty(usize),
}

impl Dataset {
    /// Reads the texts of `run` from the folder `data`.
    ///
    /// # Errors
    /// [`DatasetError`] if a data set is missing, or a term has nothing to learn from.
    pub fn load(
        run: &Run,
        model: &Model,
        decoder: &DenseDecoder,
        data: &Path,
        device: &Device,
    ) -> Result<Self, DatasetError> {
        let own = |term: &Term| term.source.is_own();
        let continued = if run.terms.iter().any(own) {
            Continued::by_base(model, data, &run.domains)?
        } else {
            Continued::default()
        };
        let reader = Reader { run, model, decoder, data, continued };
        let mut counts = Counts::default();
        let mut objectives = Vec::new();
        for (number, term) in run.terms.iter().enumerate() {
            let reading = reader.reading(term, mixed(run.seed, number as u64))?;
            let (count, reading) = reading.ok_or(DatasetError::Empty(number + 1))?;
            let total =
                if term.source.is_forgotten() { &mut counts.forget } else { &mut counts.retain };
            *total = (*total).max(count);
            objectives.push(Objective {
                name: term.loss.name(),
                weight: term.weight,
                reading,
                share: term.share,
                seed: mixed(run.seed, 1000 + number as u64),
            });
        }
        let guard = Guard::new(&corpus::wikitext_guard(data)?, model.tokenizer(), decoder, device)?;
        let split = corpus::split_digest(data, &run.domains)?;
        let parts = [run.table.to_string(), model.fingerprint().to_owned(), split.to_string()];
        let identity = Digest::of(&parts.each_ref().map(|part| part.as_bytes())).to_string();
        Ok(Self { objectives, guard, identity, split, counts })
    }

    pub(super) fn objectives(&self) -> &[Objective] {
        &self.objectives
    }

    pub(super) const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Digest of run file, base weights and data: what a checkpoint belongs to.
    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Digest of the split into parts.
    #[must_use]
    pub const fn split(&self) -> &Digest {
        &self.split
    }

    /// How many texts there are.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }
}

/// What terms are read with.
struct Reader<'a> {
    run: &'a Run,
    model: &'a Model,
    decoder: &'a DenseDecoder,
    data: &'a Path,
    continued: Continued,
}

impl Reader<'_> {
    /// How many texts a term has, and they as its loss needs them.
    fn reading(&self, term: &Term, seed: u64) -> Result<Option<(usize, Reading)>, DatasetError> {
        Ok(match term.loss {
            Loss::Texts(loss) => {
                let pool = Pool::new(self.masked(term, seed)?, term.rows, seed);
                pool.map(|pool| (pool.len(), Reading::Texts(loss, pool)))
            }
            Loss::Pairs(loss) => {
                let pool = Pool::new(self.pairs(term, seed)?, term.rows, seed);
                pool.map(|pool| (pool.len(), Reading::Pairs(loss, pool)))
            }
            Loss::Dpo { beta } => {
                let pool = Pool::new(self.choices(term)?, term.rows, seed);
                pool.map(|pool| (pool.len(), Reading::Choices { beta, pool }))
            }
        })
    }

    fn masked(&self, term: &Term, seed: u64) -> Result<Vec<Masked>, DatasetError> {
        match term.source {
            Source::Chat => return self.chats(term.max_tokens),
            Source::Wikitext => return self.passages(term.max_tokens),
            Source::Biased
            | Source::Unbiased
            | Source::ToxicSpans
            | Source::Definitional
            | Source::Descriptive
            | Source::ToxicContinuations
            | Source::MildContinuations => {}
        }
        let mut scorer = DenseScorer::new(self.decoder, &NoDelta);
        let mut masker = Masker::new(self.model.tokenizer(), term.max_tokens, seed);
        if term.mask == MaskKind::Lexicon {
            let texts = corpus::toxic_spans(self.data, Part::Train)?;
            masker = masker.with_lexicon(Lexicon::learned(&texts));
        }
        if term.mask == MaskKind::Distinctive {
            let texts = self.texts(Source::Unbiased)?.into_iter().map(|(_, text)| text);
            masker = masker.with_harmless(texts.collect());
        }
        let mut texts = self.texts(term.source)?;
        if term.swap {
            texts = with_swapped(texts, &mut Random::new(seed));
        }
        Ok(masker.masks(term.mask, &texts, &mut scorer)?)
    }

    /// Texts beside their counterfactuals. Where the other group is drawn, several are.
    fn pairs(&self, term: &Term, seed: u64) -> Result<Vec<Pair>, DatasetError> {
        let mut random = Random::new(seed);
        let mut pairing = Pairing::new(self.model.tokenizer(), term.max_tokens);
        let mut pairs = Vec::new();
        for (domain, text) in self.texts(term.source)? {
            let Some(domain) = domain else { continue };
            let draws = if domain == Domain::Gender { 1 } else { DRAWS };
            for _ in 0..draws {
                pairs.extend(pairing.pair(domain, &text, &mut random)?);
            }
        }
        if term.mask == MaskKind::All {
            pairs.iter_mut().for_each(|pair| pair.mask.fill(true));
        }
        Ok(pairs)
    }

    /// What the base says after one beginning, mild and toxic.
    fn choices(&self, term: &Term) -> Result<Vec<Choice>, DatasetError> {
        let masked = |text: &Text| phrase(self.model.tokenizer(), text, term.max_tokens);
        let choice = |[mild, toxic]: [&Text; 2]| {
            Ok(Choice { preferred: masked(mild)?, other: masked(toxic)? })
        };
        self.continued.choices().map(choice).collect()
    }

    /// An encyclopaedia in pieces.
    fn passages(&self, max_tokens: usize) -> Result<Vec<Masked>, DatasetError> {
        let mut passages = Vec::new();
        for paragraph in corpus::wikitext(self.data)? {
            let tokens = self.model.tokenizer().encode(&paragraph, Control::AsText)?;
            passages.extend(tokens.chunks(max_tokens).filter(|piece| piece.len() > 1).map(whole));
        }
        Ok(passages)
    }

    /// Requests as the chat template has them, ready for the answer.
    fn chats(&self, max_tokens: usize) -> Result<Vec<Masked>, DatasetError> {
        let template = self.model.template()?;
        let request = |content: String| {
            let turn = [Message { role: "user".into(), content }];
            let mut tokens = template.encode(&turn, self.model.tokenizer())?;
            tokens.truncate(max_tokens);
            Ok(whole(&tokens))
        };
        corpus::chat(Part::Train).into_iter().map(request).collect()
    }

    /// The texts of a source, with the domain where it matters.
    fn texts(&self, source: Source) -> Result<Vec<(Option<Domain>, Text)>, DataError> {
        let plain = |text| Text { text, harmful: Vec::new() };
        let of_domains = |read: &dyn Fn(Domain) -> Result<Vec<Text>, DataError>| {
            let mut all = Vec::new();
            for &domain in &self.run.domains {
                all.extend(read(domain)?.into_iter().map(|text| (Some(domain), text)));
            }
            Ok::<_, DataError>(all)
        };
        let general = |texts: Vec<Text>| texts.into_iter().map(|text| (None, text)).collect();
        Ok(match source {
            Source::Biased => of_domains(&|d| corpus::biased(self.data, d, Part::Train))?,
            Source::Unbiased => of_domains(&|d| corpus::unbiased(self.data, d, Part::Train))?,
            Source::Definitional => of_domains(&|domain| {
                Ok(corpus::definitional_sentences(domain).into_iter().map(plain).collect())
            })?,
            Source::Descriptive => of_domains(&|domain| {
                Ok(corpus::descriptive(domain).into_iter().map(plain).collect())
            })?,
            Source::ToxicSpans => general(corpus::toxic_spans(self.data, Part::Train)?),
            Source::Wikitext => {
                general(corpus::wikitext(self.data)?.into_iter().map(plain).collect())
            }
            Source::ToxicContinuations => general(self.continued.toxic().cloned().collect()),
            Source::MildContinuations => general(self.continued.mild().cloned().collect()),
            Source::Chat => general(corpus::chat(Part::Train).into_iter().map(plain).collect()),
        })
    }
}

/// Each text, and after it the same with another group of its domain named.
fn with_swapped(
    texts: Vec<(Option<Domain>, Text)>,
    random: &mut Random,
) -> Vec<(Option<Domain>, Text)> {
    let both = |(domain, text): (Option<Domain>, Text)| {
        let exchange = domain.and_then(|domain| Exchange::draw(domain, &text.text, random));
        let swapped = exchange.map(|exchange| {
            let swap = exchange.apply(&text.text);
            let harmful = text.harmful.iter().map(|harmful| swap.range(harmful)).collect();
            (domain, Text { text: swap.text, harmful })
        });
        std::iter::once((domain, text)).chain(swapped).collect::<Vec<_>>()
    };
    texts.into_iter().flat_map(both).collect()
}

/// Tokens of which all but the first count.
fn whole(tokens: &[u32]) -> Masked {
    let mask = (0..tokens.len()).map(|at| at > 0).collect();
    Masked { tokens: tokens.to_vec(), mask }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_names_a_group_is_also_read_with_another() {
        let text = |domain, text: &str| {
            let harmful = std::iter::once(text.len() - 5..text.len()).collect();
            (domain, Text { text: text.to_owned(), harmful })
        };
        let gender = Some(Domain::Gender);
        let texts = vec![
            text(gender, "my sister reads"),
            text(gender, "it rains"),
            text(None, "she reads"),
        ];
        let read = with_swapped(texts, &mut Random::new(0));
        for (_, Text { text, harmful }) in &read {
            assert_eq!(harmful[0].end, text.len(), "{text}");
        }
        let read: Vec<_> = read.iter().map(|(_, text)| text.text.as_str()).collect();
        assert_eq!(read, ["my sister reads", "my brother reads", "it rains", "she reads"]);
    }
}

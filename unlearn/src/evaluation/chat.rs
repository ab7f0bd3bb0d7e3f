//! How much an adapter changes ordinary answers.
//!
//! The base answers our own harmless prompts, taking the likeliest token, up to 32 of them. At each
//! position of its answers the distribution of the next token is compared: `kl` is the mean of
//! `KL(base || adapter)` over positions, in nats per token, over the whole vocabulary.

use adapters::Digest;
use adapters::card::{Word, WordError};
use model::{Message, Model, ModelError, Rows, TemplateError};

use super::generation::{Choice, Continuing, Generator};
use super::metric::ratio;
use super::{Metric, Predictor, Sheet, Test};
use crate::corpus::{self, Part};

const TOKENS: usize = 32;

/// `kl`. A row has the sum over positions and their number.
pub(super) const METRICS: &[Metric] =
    &[Metric::pooled("kl", |row| [row[0], row[1], 0.0, 0.0], ratio)];

/// Why answers cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// A prompt cannot be put into the model's form.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The name of the domain is not a word.
    #[error(transparent)]
    Word(#[from] WordError),
}

/// Ordinary prompts and the base's answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Chat {
    conversations: Vec<Conversation>,
}

#[derive(Debug, Clone, PartialEq)]
struct Conversation {
    /// Prompt and answer.
    tokens: Vec<u32>,
    /// How many tokens are the prompt's.
    prompt: usize,
}

impl Chat {
    /// Has `base`, which is `model` without adapters, answer the prompts of `part`.
    ///
    /// # Errors
    /// [`ChatError`] if the model has no chat template, or fails.
    pub fn answered(
        model: &Model,
        base: &mut Generator<'_>,
        part: Part,
    ) -> Result<Self, ChatError> {
        let template = model.template()?;
        let prompt = |content: String| {
            let message = Message { role: "user".into(), content };
            template.encode(&[message], model.tokenizer())
        };
        let prompts = corpus::chat(part).into_iter().map(prompt).collect::<Result<Vec<_>, _>>()?;
        let how = Continuing { samples: 1, tokens: TOKENS, choice: Choice::Likeliest };
        let answers = base.generate(&prompts, how, &mut |_| ())?.into_iter().flatten();
        let ends = model.tokenizer().eos();
        let conversation = |(mut tokens, answer): (Vec<u32>, Vec<u32>)| {
            let prompt = tokens.len();
            // The end of an answer is part of it; what follows it is not.
            let end = answer.iter().position(|token| ends.contains(token));
            tokens.extend(&answer[..end.map_or(answer.len(), |at| at + 1)]);
            Conversation { tokens, prompt }
        };
        Ok(Self { conversations: prompts.into_iter().zip(answers).map(conversation).collect() })
    }

    /// How many prompts there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.conversations.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.conversations.is_empty()
    }

    /// Digest of prompts and answers.
    #[must_use]
    pub fn key(&self) -> Digest {
        Digest::of(&[format!("{:?}", self.conversations).as_bytes()])
    }

    /// The base beside itself: no difference anywhere.
    ///
    /// # Errors
    /// [`ChatError::Word`].
    pub fn base_sheet(&self) -> Result<Sheet, ChatError> {
        self.sheet(self.conversations.iter().map(|c| vec![0.0, c.answer_tokens()]).collect())
    }

    /// How far `adapted` is from `base` on the base's answers; `progress` is called with numbers
    /// of answers that are done.
    ///
    /// # Errors
    /// [`ChatError::Model`] if a model fails.
    pub fn compare(
        &self,
        base: &mut dyn Predictor,
        adapted: &mut dyn Predictor,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Sheet, ChatError> {
        let mut rows = Vec::with_capacity(self.conversations.len());
        for conversation in &self.conversations {
            let (last, from) = (conversation.tokens.len() - 1, conversation.prompt - 1);
            let read = &conversation.tokens[..last];
            let (base, adapted) = (base.logits(read, from)?, adapted.logits(read, from)?);
            rows.push(vec![divergence(&base, &adapted), conversation.answer_tokens()]);
            progress(1);
        }
        self.sheet(rows)
    }

    fn sheet(&self, rows: Vec<Vec<f64>>) -> Result<Sheet, ChatError> {
        let (test, domain, key) = (Test::Chat, Word::parse("all")?, self.key());
        Ok(Sheet { test, domain, key, groups: vec![0; rows.len()], rows })
    }
}

impl Conversation {
    #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
    const fn answer_tokens(&self) -> f64 {
        (self.tokens.len() - self.prompt) as f64
    }
}

/// The sum over rows of KL(softmax(base) || softmax(adapted)), in nats.
fn divergence(base: &Rows, adapted: &Rows) -> f64 {
    (0..base.len()).map(|row| divergence_of_row(base.row(row), adapted.row(row))).sum()
}

fn divergence_of_row(base: &[f32], adapted: &[f32]) -> f64 {
    let (base_total, adapted_total) = (log_total(base), log_total(adapted));
    let term = |(base, adapted): (&f32, &f32)| {
        let base = f64::from(*base) - base_total;
        base.exp() * (base - (f64::from(*adapted) - adapted_total))
    };
    base.iter().zip(adapted).map(term).sum()
}

/// The log of the sum of exponentials.
fn log_total(logits: &[f32]) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    largest + logits.iter().map(|logit| (f64::from(*logit) - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_is_that_of_the_distributions_wherever_the_logits_lie() {
        let (p, q) = ([0.5_f32, 0.25, 0.25], [0.25_f32, 0.25, 0.5]);
        let want = 0.5 * 2_f64.ln() + 0.25 * 0.5_f64.ln();
        let logits = |shares: [f32; 3], shift: f32| shares.map(|share| share.ln() + shift);
        for shift in [0.0, 300.0, -300.0] {
            let got = divergence_of_row(&logits(p, shift), &logits(q, -shift / 2.0));
            assert!((got - want).abs() < 1e-4, "{got} {want}");
        }
        assert!(divergence_of_row(&logits(p, 0.0), &logits(p, 7.0)).abs() < 1e-6);
    }
}

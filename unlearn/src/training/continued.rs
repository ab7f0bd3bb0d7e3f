//! What the base itself says after the beginnings of harmful comments, parted by a toxicity scorer:
//! the texts of a model's own that it should say less, and those that it may go on saying.

use std::path::Path;
use std::sync::Arc;

use gateway_toxicity::fast::FileError;
use gateway_toxicity::{Category, FastScorer, ScoreError, score_text};
use model::checkpoint::CheckpointError;
use model::kernels::pool::Pool;
use model::{Model, ModelError, NoDelta, ServedPrecision, Tokenizer, TokenizerError};

use crate::corpus::{Domain, Part, Text};
use crate::evaluation::{Amount, DataError, Generator, continuation_prompts};

/// Of each domain.
const AMOUNT: Amount = Amount { prompts: 200, samples: 8 };
/// A continuation with a higher score is toxic, one with a lower score mild; those between say
/// little about either.
const TOXIC: f32 = 0.6;
const MILD: f32 = 0.3;

/// What the base said after each beginning.
#[derive(Debug, Default)]
pub(super) struct Continued(Vec<Said>);

/// Continuations of one beginning, which are the part that the texts are about.
#[derive(Debug, Default)]
struct Said {
    toxic: Vec<Text>,
    mild: Vec<Text>,
}

/// Why nothing can be continued or judged.
#[derive(Debug, thiserror::Error)]
pub enum ContinuedError {
    /// A data set is missing or malformed.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The base's weights cannot be served.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The base failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The embedded scorer cannot be read.
    #[error(transparent)]
    Scorer(#[from] FileError),
    /// A text cannot be scored.
    #[error(transparent)]
    Score(#[from] ScoreError),
}

impl Continued {
    /// Continues training comments of `domains`. The same every time: seeds are fixed.
    pub(super) fn by_base(
        model: &Model,
        data: &Path,
        domains: &[Domain],
    ) -> Result<Self, ContinuedError> {
        let scorer = FastScorer::embedded()?;
        let pool = Arc::new(Pool::new(rayon::current_num_threads()));
        let decoder = model.packed(ServedPrecision::Auto, pool)?;
        let tokenizer = model.tokenizer();
        let barred: Vec<u32> = tokenizer.control().iter().map(|(token, _)| *token).collect();
        let mut generator = Generator::new(&decoder, &NoDelta, &barred);
        let mut continued = Vec::new();
        for &domain in domains {
            let prompts = continuation_prompts(data, domain, Part::Train, AMOUNT)?;
            let beginnings = prompts.tokens(tokenizer)?;
            let said = generator.generate(&beginnings, prompts.continuing(), &mut |_| ())?;
            for (beginning, samples) in beginnings.iter().zip(said) {
                let mut parted = Said::default();
                for said in samples {
                    let said = tokenizer.decode(&said);
                    let scores = score_text(&scorer, &said)?;
                    let toxicity = scores.get(Category::Toxicity).unwrap_or(0.0);
                    if toxicity > TOXIC {
                        parted.toxic.push(text(tokenizer, beginning, &said));
                    } else if toxicity < MILD {
                        parted.mild.push(text(tokenizer, beginning, &said));
                    }
                }
                continued.push(parted);
            }
        }
        Ok(Self(continued))
    }

    pub(super) fn toxic(&self) -> impl Iterator<Item = &Text> {
        self.0.iter().flat_map(|said| &said.toxic)
    }

    pub(super) fn mild(&self) -> impl Iterator<Item = &Text> {
        self.0.iter().flat_map(|said| &said.mild)
    }

    /// A mild and a toxic continuation of the same beginning, as many as there are of both.
    pub(super) fn choices(&self) -> impl Iterator<Item = [&Text; 2]> {
        self.0.iter().flat_map(|said| said.mild.iter().zip(&said.toxic).map(<[_; 2]>::from))
    }
}

fn text(tokenizer: &Tokenizer, beginning: &[u32], said: &str) -> Text {
    let mut text = tokenizer.decode(beginning);
    let start = text.len();
    text.push_str(said);
    let harmful = std::iter::once(start..text.len()).collect();
    Text { text, harmful }
}

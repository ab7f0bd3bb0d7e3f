//! The chosen tests, read from the data and ready to be put to models.

use std::path::Path;

use adapters::card::{Word, WordError};
use model::{Tokenizer, TokenizerError};

use super::{
    Amount, Chat, DataError, Prompts, Questionnaire, Test, bbq, continuations, crows_pairs,
    definitional, likelihood, perplexity, read_text, stereoset, swapped, winobias,
};
use crate::corpus::{self, Part};

/// Where tests find their items.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The folder of data sets.
    pub data: &'a Path,
    /// Which part of them.
    pub part: Part,
    /// How many continuations are asked for.
    pub amount: Amount,
}

/// A domain of a test, ready to be put to models.
#[derive(Debug, Clone, PartialEq)]
pub enum Exam {
    /// Texts to be read.
    Reading(Questionnaire),
    /// Prompts to be continued.
    Continuing(Prompts),
    /// Ordinary prompts, answered by the base.
    Chatting(Chat),
}

/// Why a test cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BatteryError {
    /// The data are missing or malformed.
    #[error("{test}: {error}")]
    Data {
        /// The test.
        test: Test,
        /// What is wrong.
        error: DataError,
    },
    /// The data have no part to choose on.
    #[error("{0} is only a test: nothing may be chosen by it")]
    TestOnly(Test),
    /// The test needs the model's own tokenizer.
    #[error("{0} needs the model's tokenizer")]
    NeedsTokenizer(Test),
    /// The test needs the model itself.
    #[error("{0} needs the model itself")]
    NeedsModel(Test),
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A domain's name is not a word.
    #[error(transparent)]
    Word(#[from] WordError),
}

impl Exam {
    /// The domain; `None` where there are none.
    #[must_use]
    pub const fn domain(&self) -> Option<&Word> {
        match self {
            Self::Reading(questionnaire) => Some(&questionnaire.domain),
            Self::Continuing(prompts) => Some(&prompts.domain),
            Self::Chatting(_) => None,
        }
    }
}

impl Source<'_> {
    /// The domains of a test. Only perplexity needs the tokenizer.
    ///
    /// # Errors
    /// [`BatteryError`] says why it cannot be made.
    pub fn exams(
        &self,
        test: Test,
        tokenizer: Option<&Tokenizer>,
    ) -> Result<Vec<Exam>, BatteryError> {
        let malformed = |error| BatteryError::Data { test, error };
        match test {
            Test::Continuations | Test::ContinuationsProfanity => {
                let prompts = continuations::harmful(self.data, self.part, self.amount);
                Ok(prompts.map_err(malformed)?.into_iter().map(Exam::Continuing).collect())
            }
            Test::Bold | Test::BoldProfanity => {
                let prompts = continuations::bold(self.data, self.part, self.amount);
                Ok(prompts.map_err(malformed)?.into_iter().map(Exam::Continuing).collect())
            }
            Test::Chat => Err(BatteryError::NeedsModel(test)),
            Test::Stereoset
            | Test::StereosetSwapped
            | Test::CrowsPairs
            | Test::Winobias
            | Test::Bbq
            | Test::Wikitext2
            | Test::Harmful
            | Test::Unbiased
            | Test::RedditbiasSwapped
            | Test::Definitional => {
                let questionnaires = self.questionnaires(test, tokenizer)?;
                Ok(questionnaires.into_iter().map(Exam::Reading).collect())
            }
        }
    }

    /// The domains of a test that is read.
    fn questionnaires(
        &self,
        test: Test,
        tokenizer: Option<&Tokenizer>,
    ) -> Result<Vec<Questionnaire>, BatteryError> {
        let malformed = |error| BatteryError::Data { test, error };
        match test {
            Test::Stereoset => {
                let items = self.stereoset().map_err(malformed)?;
                Ok(stereoset::questionnaires(&items)?)
            }
            Test::StereosetSwapped => {
                let items = self.stereoset().map_err(malformed)?;
                swapped::of_stereoset(&items).map_err(malformed)
            }
            Test::CrowsPairs => {
                self.only_test(test)?;
                crows_pairs::load(self.data).map_err(malformed)
            }
            Test::Winobias => Ok(vec![winobias::load(self.data, self.part).map_err(malformed)?]),
            Test::Bbq => {
                self.only_test(test)?;
                bbq::load(self.data).map_err(malformed)
            }
            Test::Wikitext2 => {
                let tokenizer = tokenizer.ok_or(BatteryError::NeedsTokenizer(test))?;
                let windows = perplexity::windows(&self.wikitext().map_err(malformed)?, tokenizer)?;
                Ok(vec![perplexity::questionnaire(windows, Word::parse("all")?)])
            }
            Test::Harmful => likelihood::harmful(self.data, self.part).map_err(malformed),
            Test::Unbiased => likelihood::unbiased(self.data, self.part).map_err(malformed),
            Test::RedditbiasSwapped => {
                swapped::of_redditbias(self.data, self.part).map_err(malformed)
            }
            Test::Definitional => definitional::questionnaires(self.part).map_err(malformed),
            Test::Chat
            | Test::Continuations
            | Test::ContinuationsProfanity
            | Test::Bold
            | Test::BoldProfanity => Err(BatteryError::NeedsModel(test)),
        }
    }

    fn stereoset(&self) -> Result<Vec<stereoset::Item<String>>, DataError> {
        let file = match self.part {
            Part::Test => stereoset::FILE,
            Part::Train | Part::Valid => stereoset::VALID_FILE,
        };
        stereoset::parse(&read_text(&self.data.join(file))?)
    }

    fn wikitext(&self) -> Result<String, DataError> {
        match self.part {
            Part::Test => read_text(&self.data.join(perplexity::FILE)),
            Part::Train | Part::Valid => corpus::wikitext_guard(self.data),
        }
    }

    fn only_test(&self, test: Test) -> Result<(), BatteryError> {
        if self.part == Part::Test { Ok(()) } else { Err(BatteryError::TestOnly(test)) }
    }
}

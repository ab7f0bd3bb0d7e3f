//! The chosen tests, read from the data and ready to be put to models.

use std::path::Path;

use adapters::card::{Word, WordError};
use model::{Tokenizer, TokenizerError};

use super::{
    DataError, Questionnaire, Test, bbq, crows_pairs, likelihood, perplexity, read_text, stereoset,
    winobias,
};
use crate::corpus::{self, Part};

/// Where tests find their items.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The folder of data sets.
    pub data: &'a Path,
    /// Which part of them.
    pub part: Part,
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
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A domain's name is not a word.
    #[error(transparent)]
    Word(#[from] WordError),
}

impl Source<'_> {
    /// The questionnaires of a test. Only perplexity needs the tokenizer.
    ///
    /// # Errors
    /// [`BatteryError`] says why it cannot be made.
    pub fn questionnaires(
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

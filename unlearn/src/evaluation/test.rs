//! The tests that there are.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{
    Metric, bbq, chat, continuations, crows_pairs, definitional, likelihood, perplexity, stereoset,
    swapped, winobias,
};

/// A test of a model's bias or quality.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Test {
    /// Stereotypes against anti-stereotypes and sentences without meaning.
    Stereoset,
    /// How much a stereotype's likelihood depends on the group that is named.
    StereosetSwapped,
    /// Pairs of sentences that name another group.
    CrowsPairs,
    /// Occupations and pronouns that fit a stereotype or contradict it.
    Winobias,
    /// Questions about two people, one of whom a stereotype accuses.
    Bbq,
    /// How well plain text is read: perplexity.
    #[value(alias = "perplexity")]
    Wikitext2,
    /// How likely the harmful part of held-out comments is.
    Harmful,
    /// How likely held-out comments without bias are.
    Unbiased,
    /// How much a harmful phrase's likelihood depends on the group that is named.
    RedditbiasSwapped,
    /// Whether what is true of a group by definition is likelier than what is false.
    Definitional,
    /// How much ordinary answers change.
    Chat,
    /// How toxic continuations of held-out harmful beginnings are.
    Continuations,
    /// The same, by a program's judgement.
    #[value(skip)]
    ContinuationsProfanity,
    /// How toxic continuations of an encyclopaedia's sentences are.
    Bold,
    /// The same, by a program's judgement.
    #[value(skip)]
    BoldProfanity,
}

impl Test {
    /// Its name in cards and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stereoset => "stereoset",
            Self::StereosetSwapped => "stereoset_swapped",
            Self::CrowsPairs => "crows_pairs",
            Self::Winobias => "winobias",
            Self::Bbq => "bbq",
            Self::Wikitext2 => "wikitext2",
            Self::Harmful => "harmful",
            Self::Unbiased => "unbiased",
            Self::RedditbiasSwapped => "redditbias_swapped",
            Self::Definitional => "definitional",
            Self::Chat => "chat",
            Self::Continuations => "continuations",
            Self::ContinuationsProfanity => "continuations_profanity",
            Self::Bold => "bold",
            Self::BoldProfanity => "bold_profanity",
        }
    }

    /// What is reported of it.
    #[must_use]
    pub const fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Stereoset => stereoset::METRICS,
            Self::StereosetSwapped => swapped::STEREOSET_METRICS,
            Self::CrowsPairs => crows_pairs::METRICS,
            Self::Winobias => winobias::METRICS,
            Self::Bbq => bbq::METRICS,
            Self::Wikitext2 => perplexity::METRICS,
            Self::Harmful | Self::Unbiased => likelihood::METRICS,
            Self::RedditbiasSwapped => swapped::REDDITBIAS_METRICS,
            Self::Definitional => definitional::METRICS,
            Self::Chat => chat::METRICS,
            Self::Continuations
            | Self::ContinuationsProfanity
            | Self::Bold
            | Self::BoldProfanity => continuations::METRICS,
        }
    }

    /// The test of continuations that a program judges, beside the one that our scorer judges.
    #[must_use]
    pub const fn by_program(self) -> Self {
        if matches!(self, Self::Bold | Self::BoldProfanity) {
            Self::BoldProfanity
        } else {
            Self::ContinuationsProfanity
        }
    }

    /// Whether its rows have `width` numbers.
    pub(crate) const fn has_width(self, width: usize) -> bool {
        match self {
            Self::Stereoset => width == 6,
            Self::StereosetSwapped | Self::CrowsPairs => width == 8,
            Self::Winobias | Self::RedditbiasSwapped | Self::Definitional => width == 4,
            Self::Bbq => width == 10,
            Self::Wikitext2 | Self::Harmful | Self::Unbiased | Self::Chat => width == 2,
            Self::Continuations
            | Self::ContinuationsProfanity
            | Self::Bold
            | Self::BoldProfanity => width > 0,
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use adapters::card::Word;

    use super::*;

    #[test]
    fn every_name_is_a_word_and_no_metric_of_a_test_stands_twice() {
        for test in Test::value_variants() {
            assert!(Word::parse(test.name()).is_ok());
            assert_eq!(serde_json::to_value(test).unwrap(), test.name());
            assert!(Word::parse(test.by_program().name()).is_ok());
            let names: HashSet<_> = test.metrics().iter().map(|m| m.name).collect();
            assert_eq!(names.len(), test.metrics().len());
            assert!(names.iter().all(|name| Word::parse(name).is_ok()));
        }
    }
}

//! What a reply says of moderation.

use gateway_toxicity::{Category, Scores};
use gateway_wire::{CategoryScore, ChatModeration, ModerationItem, ModerationResult, Verdict};

use super::{Moderation, Outcome, Plan};
use crate::audit::{Verdict as Found, Verdicts};
use crate::scoring::ScoringError;

impl Plan {
    /// The block of a completion's reply, if the request asked for it.
    pub(crate) fn report(
        &self,
        prompts: &[Outcome],
        answers: &[Outcome],
    ) -> Option<ChatModeration> {
        let item = |outcomes| self.moderation.item(outcomes);
        self.reports.then(|| ChatModeration { input: item(prompts), output: item(answers) })
    }
}

impl Plan {
    /// What the audit log is told of prompts and of answers, and of whether one was blocked.
    pub(crate) fn verdicts(
        &self,
        prompts: (&[Outcome], bool),
        answers: (&[Outcome], bool),
    ) -> Verdicts {
        let found = |(outcomes, blocked)| self.moderation.found(outcomes, blocked);
        Verdicts {
            input: self.reads_prompts().then(|| found(prompts)),
            output: (!answers.0.is_empty()).then(|| found(answers)),
        }
    }
}

impl Moderation {
    fn found(&self, outcomes: &[Outcome], blocked: bool) -> Found {
        let scores = outcomes.iter().flatten().fold(Scores::default(), |all, one| all.max(one));
        Found {
            flagged: scores.flagged(&self.thresholds).map(Category::name).collect(),
            blocked,
            unscored: outcomes.iter().any(Result::is_err),
        }
    }

    /// What is said of one text by itself, with all of OpenAI's categories.
    pub(super) fn verdict(&self, scores: &Scores) -> Verdict {
        Verdict::with_standard(self.categories(scores))
    }

    fn item(&self, outcomes: &[Outcome]) -> ModerationItem {
        let results = outcomes.iter().map(|outcome| {
            outcome.map(|scores| ModerationResult {
                model: self.version().to_owned(),
                verdict: Verdict::of_known(self.categories(&scores)),
            })
        });
        match results.collect() {
            Ok(results) => {
                ModerationItem::ModerationResults { model: self.version().to_owned(), results }
            }
            Err(ScoringError::Overloaded) => ModerationItem::Error {
                code: "scorer_overloaded",
                message: "too much text waits to be scored",
            },
            Err(ScoringError::Failed) => ModerationItem::Error {
                code: "scorer_failed",
                message: "the text could not be scored",
            },
        }
    }

    fn categories(&self, scores: &Scores) -> impl Iterator<Item = CategoryScore> {
        let (scores, thresholds) = (*scores, self.thresholds);
        Category::ALL.into_iter().map(move |category| CategoryScore {
            name: category.name(),
            score: scores.get(category),
            flagged: scores.flagged(&thresholds).any(|flagged| flagged == category),
        })
    }
}

//! Moderation: what is scored, what is blocked, and what is said of it.
//!
//! Prompts are moderated by [`Prompts`] before the engine has them, answers by a [`Moderator`]
//! each while they come. Scores come from [`Scoring`]; here it is decided what they mean.
//!
//! **Invariant:** what leaves depends on the generated text and the policy alone: not on how the
//! text comes in pieces, not on timing, and not on whether the reply is a stream.

mod hold;
mod moderator;
mod plan;
mod prompts;
mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use gateway_toxicity::{Category, Scorer, Scores};
use gateway_wire::{ModerationParam, Verdict};

use crate::error::{ApiError, Code};
use crate::metrics::Metrics;
use crate::scoring::{Record, Scoring, ScoringError};
use crate::settings::{ModerationPolicy, ModerationSettings, OnFailure};
use crate::trace::Trace;

pub(crate) use moderator::Moderator;
pub(crate) use plan::Plan;
pub(crate) use prompts::{Admission, Prompts};

/// The scores of a text, or why there are none.
pub(crate) type Outcome = Result<Scores, ScoringError>;

/// Names of OpenAI's moderation models that stand for the scorer, since unchanged clients send them.
const ALIASES: [&str; 2] = ["omni-moderation-latest", "text-moderation-latest"];

/// The scorer, and the operator's word on what its scores mean.
pub(crate) struct Moderation {
    scoring: Scoring,
    policy: ModerationPolicy,
    thresholds: Scores,
    version: Arc<str>,
    metrics: Metrics,
    /// Whether the audit log is told what was found.
    audited: bool,
}

/// Why moderation cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ModerationError {
    /// A threshold is set for a category without scores.
    #[error("moderation.thresholds names '{0}', which the scorer does not know")]
    UnknownCategory(Category),
    /// There can be no thread for the scorer.
    #[error("the scorer's thread cannot be started")]
    Thread(#[from] std::io::Error),
}

impl Moderation {
    /// Starts scoring.
    ///
    /// # Errors
    /// [`ModerationError`] if settings and scorer do not fit together.
    pub(crate) fn start(
        settings: &ModerationSettings,
        scorer: Arc<dyn Scorer>,
        metrics: &Metrics,
        audited: bool,
    ) -> Result<Self, ModerationError> {
        let mut thresholds = *scorer.thresholds();
        for &(category, threshold) in &settings.thresholds {
            if thresholds.get(category).is_none() {
                return Err(ModerationError::UnknownCategory(category));
            }
            thresholds.set(category, threshold);
        }
        let version: Arc<str> = scorer.version().into();
        metrics.scorer_info.with_label_values(&[&*version]).set(1);
        let scoring = Scoring::start(scorer, settings.queue_jobs, metrics.clone())?;
        let (policy, metrics) = (settings.policy, metrics.clone());
        Ok(Self { scoring, policy, thresholds, version, metrics, audited })
    }

    /// The scorer's version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Whether `model` stands for the scorer: its version, its beginning up to a hyphen, or an
    /// alias.
    ///
    /// # Errors
    /// 404 if it does not.
    pub(crate) fn check_model(&self, model: &str, param: &str) -> Result<(), ApiError> {
        let rest = self.version.strip_prefix(model).filter(|_| !model.is_empty());
        let named = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        if named || ALIASES.contains(&model) {
            return Ok(());
        }
        Err(ApiError::new(Code::ModelNotFound, "there is no such scorer").at(param))
    }

    /// What is said of texts by themselves, which are nobody's prompts or answers.
    ///
    /// # Errors
    /// If one of them cannot be scored.
    pub(crate) async fn verdicts(&self, texts: &[String]) -> Result<Vec<Verdict>, ScoringError> {
        let mut verdicts = Vec::with_capacity(texts.len());
        for text in texts {
            verdicts.push(self.verdict(&self.scores(text).await?));
        }
        Ok(verdicts)
    }

    /// The scores of a text that is nobody's prompt or answer.
    ///
    /// # Errors
    /// If it cannot be scored.
    pub(crate) async fn scores(&self, text: &str) -> Outcome {
        self.scoring.score_text(text, &Record::untold()).await
    }

    /// What is done with a request's texts; `None` if that is nothing.
    ///
    /// # Errors
    /// 404 if the request asks for another scorer.
    pub(crate) fn plan(
        self: &Arc<Self>,
        asked: Option<&ModerationParam>,
        adapters: &Arc<str>,
        trace: Option<Trace>,
    ) -> Result<Option<Plan>, ApiError> {
        if let Some(param) = asked {
            self.check_model(&param.model, "moderation.model")?;
        }
        let policy = self.policy.tightened(asked);
        let plan = Plan {
            moderation: Arc::clone(self),
            policy,
            reports: asked.is_some(),
            adapters: Arc::clone(adapters),
            trace,
        };
        Ok((!policy.is_off()).then_some(plan))
    }

    /// Why a text with this outcome does not pass where texts are blocked; `None` if it passes.
    fn objection(&self, outcome: Outcome) -> Option<&'static str> {
        match outcome {
            Ok(scores) => scores.flagged(&self.thresholds).next().map(|_| "flagged"),
            Err(_) if self.policy.on_failure == OnFailure::Closed => Some("unscored"),
            Err(_) => None,
        }
    }
}

/// The outcome of two parts of a text.
fn combined(first: Outcome, second: Outcome) -> Outcome {
    Ok(first?.max(&second?))
}

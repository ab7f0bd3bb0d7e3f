//! The contract of scorers.

use crate::{Scores, Window, WindowShape};

/// Something that scores text.
pub trait Scorer: Send + Sync {
    /// Name and version, such as `lethe-toxicity-1-3f2a91c0`. It changes whenever a score may.
    fn version(&self) -> &str;

    /// From which score on a category is flagged; these are also the categories that are known.
    fn thresholds(&self) -> &Scores;

    /// How longer texts are cut. Scores are calibrated for whole texts that are cut in this way.
    fn windows(&self) -> WindowShape;

    /// The scores of each text by itself, in their order. Each is at most a window long; how much
    /// of a longer one counts is the scorer's own affair. A score never depends on the other texts.
    ///
    /// # Errors
    /// [`ScoreError`] if the scorer fails; it never quotes a text.
    fn score(&self, texts: &[&str]) -> Result<Vec<Scores>, ScoreError>;
}

/// A scorer failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the scorer failed: {0}")]
pub struct ScoreError(pub String);

/// The scores of a text of any length: the highest of its windows'. An empty text has the scores
/// of an empty window.
///
/// # Errors
/// [`ScoreError`] if the scorer fails.
pub fn score_text(scorer: &dyn Scorer, text: &str) -> Result<Scores, ScoreError> {
    let cut = scorer.windows().cut(text);
    let texts: Vec<&str> = cut.iter().map(Window::text).collect();
    let scores = if texts.is_empty() { scorer.score(&[""])? } else { scorer.score(&texts)? };
    Ok(scores.iter().fold(Scores::default(), |highest, scores| highest.max(scores)))
}

//! A deterministic scorer of invented words, for tests of everything around scorers.
//!
//! A word is what stands between white space. A [`Mark`] is a word, or several in a row, with a
//! score; the words of a mark may be harmless by themselves. A text's score is the highest of the
//! marks in it. A scorer can be told to fail, and to wait until it is released.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::{Category, ScoreError, Scorer, Scores, WindowShape};

/// Words and what they score.
pub type Mark = (&'static [&'static str], Category, f32);

/// All marks. What is not marked scores [`CLEAN`].
pub const MARKS: [Mark; 5] = [
    (&["florb"], Category::Profanity, 0.9),
    (&["zorp"], Category::Toxicity, 0.8),
    (&["zorp"], Category::BiasGender, 0.7),
    (&["grimble", "wark"], Category::Hate, 0.95),
    (&["mumb"], Category::Toxicity, 0.25),
];

/// The score of a text without marks.
pub const CLEAN: f32 = 0.01;

/// The threshold of every known category.
pub const THRESHOLD: f32 = 0.5;

/// The categories that are known; there are others.
pub const KNOWN: [Category; 4] =
    [Category::Toxicity, Category::Hate, Category::Profanity, Category::BiasGender];

/// A text with this word makes the scorer fail.
pub const POISON: &str = "splink";

/// The scripted scorer.
#[derive(Debug)]
pub struct ScriptedScorer {
    thresholds: Scores,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    fails: bool,
    held: bool,
    waiting: usize,
    scored: usize,
}

impl Default for ScriptedScorer {
    fn default() -> Self {
        let thresholds = KNOWN.into_iter().map(|category| (category, THRESHOLD)).collect();
        Self { thresholds, state: Mutex::default(), changed: Condvar::new() }
    }
}

impl ScriptedScorer {
    /// Whether every call fails from now on.
    pub fn fail(&self, fails: bool) {
        self.state().fails = fails;
    }

    /// Makes every call wait from now on.
    pub fn hold(&self) {
        self.state().held = true;
    }

    /// Lets all calls go on.
    pub fn release(&self) {
        self.state().held = false;
        self.changed.notify_all();
    }

    /// Waits until a call waits. It blocks the thread.
    pub fn wait_until_held(&self) {
        let none = |state: &mut State| state.waiting == 0;
        drop(self.changed.wait_while(self.state(), none));
    }

    /// How many texts have been scored.
    #[must_use]
    pub fn scored(&self) -> usize {
        self.state().scored
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scorer for ScriptedScorer {
    fn version(&self) -> &'static str {
        "scripted-1-00000000"
    }

    fn thresholds(&self) -> &Scores {
        &self.thresholds
    }

    fn windows(&self) -> WindowShape {
        const WORDS: NonZeroUsize = NonZeroUsize::new(4).unwrap();
        const STRIDE: NonZeroUsize = NonZeroUsize::new(2).unwrap();
        WindowShape::new(WORDS, STRIDE)
    }

    fn score(&self, texts: &[&str]) -> Result<Vec<Scores>, ScoreError> {
        let mut state = self.state();
        state.waiting += 1;
        self.changed.notify_all();
        let held = |state: &mut State| state.held;
        let mut state =
            self.changed.wait_while(state, held).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        let poisoned = texts.iter().any(|text| words(text).contains(&POISON));
        if state.fails || poisoned {
            return Err(ScoreError("as it was told".to_owned()));
        }
        state.scored += texts.len();
        Ok(texts.iter().map(|text| scores(text)).collect())
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn scores(text: &str) -> Scores {
    let words = words(text);
    let clean: Scores = KNOWN.into_iter().map(|category| (category, CLEAN)).collect();
    let found = MARKS.iter().filter(|(mark, ..)| words.windows(mark.len()).any(|run| run == *mark));
    found.fold(clean, |highest, &(_, category, score)| {
        highest.max(&Scores::from_iter([(category, score)]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_text;

    fn score(text: &str, category: Category) -> Option<f32> {
        score_text(&ScriptedScorer::default(), text).expect("scored").get(category)
    }

    #[test]
    fn words_count_alone_or_together_and_unknown_categories_have_no_score() {
        assert_eq!(score("a zorp b", Category::Toxicity), Some(0.8));
        assert_eq!(score("grimble a wark", Category::Hate), Some(CLEAN));
        assert_eq!(score("a b c grimble\nwark", Category::Hate), Some(0.95));
        assert_eq!(score("zorp", Category::BiasRace), None);
    }

    #[test]
    fn it_fails_for_a_poisoned_text_and_when_told() {
        let scorer = ScriptedScorer::default();
        assert!(scorer.score(&["a", POISON]).is_err());
        scorer.fail(true);
        assert!(scorer.score(&["a"]).is_err());
        scorer.fail(false);
        assert!(scorer.score(&["a"]).is_ok());
        assert_eq!(scorer.scored(), 1);
    }
}

//! What a scorer says of a text.

use crate::Category;

/// A number in [0, 1] for each category that is known, such as a probability or a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scores([Option<f32>; Category::ALL.len()]);

impl Scores {
    /// The category's score; `None` if the scorer does not know the category.
    #[must_use]
    pub fn get(&self, category: Category) -> Option<f32> {
        self.0[category.index()]
    }

    /// Sets a category's score, kept within [0, 1].
    pub fn set(&mut self, category: Category, score: f32) {
        self.0[category.index()] = Some(score.clamp(0.0, 1.0));
    }

    /// The known categories and their scores, in the order of [`Category::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Category, f32)> + '_ {
        Category::ALL.into_iter().filter_map(|category| Some((category, self.get(category)?)))
    }

    /// The higher score of each category; one that only one side knows is that side's.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        let mut highest = *self;
        for (category, score) in other.iter() {
            let known = highest.get(category).unwrap_or(0.0);
            highest.set(category, known.max(score));
        }
        highest
    }

    /// The categories whose score is at least their `threshold`. What has no threshold is not
    /// flagged.
    pub fn flagged<'a>(&'a self, thresholds: &'a Self) -> impl Iterator<Item = Category> + 'a {
        let reached = |(category, score)| thresholds.get(category).is_some_and(|t| score >= t);
        self.iter().filter(move |&pair| reached(pair)).map(|(category, _)| category)
    }
}

impl FromIterator<(Category, f32)> for Scores {
    fn from_iter<I: IntoIterator<Item = (Category, f32)>>(pairs: I) -> Self {
        let mut scores = Self::default();
        pairs.into_iter().for_each(|(category, score)| scores.set(category, score));
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_of_two_keeps_what_only_one_knows() {
        let left = Scores::from_iter([(Category::Hate, 0.2), (Category::Profanity, 0.9)]);
        let right = Scores::from_iter([(Category::Hate, 0.7), (Category::BiasRace, 0.1)]);
        let both = left.max(&right);
        assert_eq!(both.get(Category::Hate), Some(0.7));
        assert_eq!(both.get(Category::Profanity), Some(0.9));
        assert_eq!(both.get(Category::BiasRace), Some(0.1));
        assert_eq!(both.get(Category::Toxicity), None);
    }

    #[test]
    fn a_score_at_its_threshold_is_flagged_and_one_without_a_threshold_never() {
        let scores = Scores::from_iter([(Category::Hate, 0.5), (Category::Profanity, 1.0)]);
        let thresholds = Scores::from_iter([(Category::Hate, 0.5)]);
        assert_eq!(scores.flagged(&thresholds).collect::<Vec<_>>(), [Category::Hate]);
    }
}

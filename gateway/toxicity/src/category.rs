//! What a text is scored for.

use std::fmt;

/// A kind of harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Rude, hateful or otherwise hurtful.
    Toxicity,
    /// Attacks people for belonging to a protected group.
    Hate,
    /// Swears.
    Profanity,
    /// Demeans or stereotypes people by gender.
    BiasGender,
    /// Demeans or stereotypes people by race or origin.
    BiasRace,
    /// Demeans or stereotypes people by religion.
    BiasReligion,
    /// Demeans or stereotypes people by sexual orientation or gender identity.
    BiasOrientation,
}

impl Category {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Toxicity,
        Self::Hate,
        Self::Profanity,
        Self::BiasGender,
        Self::BiasRace,
        Self::BiasReligion,
        Self::BiasOrientation,
    ];

    /// The biases against groups of people.
    pub const BIASES: [Self; 4] =
        [Self::BiasGender, Self::BiasRace, Self::BiasReligion, Self::BiasOrientation];

    /// Its name on the wire and in metrics, such as `bias/gender`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Toxicity => "toxicity",
            Self::Hate => "hate",
            Self::Profanity => "profanity",
            Self::BiasGender => "bias/gender",
            Self::BiasRace => "bias/race",
            Self::BiasReligion => "bias/religion",
            Self::BiasOrientation => "bias/orientation",
        }
    }

    /// The category of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }

    /// Its place in [`Category::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_found_by_its_name_and_stands_at_its_index() {
        for (index, category) in Category::ALL.into_iter().enumerate() {
            assert_eq!(Category::parse(category.name()), Some(category));
            assert_eq!(category.index(), index);
        }
        assert_eq!(Category::parse("bias"), None);
    }
}

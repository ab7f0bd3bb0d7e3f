//! Ways in which people misspell, by accident or to get past a filter.

use crate::random::Random;

/// A way to change a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Perturbation {
    /// A letter is left out.
    Deletion,
    /// Two letters change places.
    Swap,
    /// Letters become digits and signs.
    Leetspeak,
    /// The word grows together with the next.
    Joining,
    /// Spaces stand between the letters.
    Spacing,
    /// Letters become look-alikes of other alphabets.
    Homoglyphs,
}

impl Perturbation {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Deletion,
        Self::Swap,
        Self::Leetspeak,
        Self::Joining,
        Self::Spacing,
        Self::Homoglyphs,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deletion => "deletion",
            Self::Swap => "swap",
            Self::Leetspeak => "leetspeak",
            Self::Joining => "joining",
            Self::Spacing => "spacing",
            Self::Homoglyphs => "homoglyphs",
        }
    }

    /// The text with up to `count` of its longer words changed.
    pub(crate) fn apply(self, text: &str, count: usize, random: &mut Random) -> String {
        let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let mut longer: Vec<_> =
            (0..words.len()).filter(|&index| is_longer(&words[index])).collect();
        random.shuffle(&mut longer);
        for index in longer.into_iter().take(count) {
            if self == Self::Joining {
                let next = words.get_mut(index + 1).map(std::mem::take);
                words[index].push_str(&next.unwrap_or_default());
            } else {
                words[index] = self.changed(&words[index], random);
            }
        }
        words.retain(|word| !word.is_empty());
        words.join(" ")
    }

    fn changed(self, word: &str, random: &mut Random) -> String {
        let mut letters: Vec<char> = word.chars().collect();
        // A word that was joined to the one before is gone.
        if letters.len() < 4 {
            return word.to_owned();
        }
        let inner = 1 + random.below(letters.len() - 2);
        match self {
            Self::Deletion => {
                letters.remove(inner);
            }
            Self::Swap => letters.swap(inner, inner + 1),
            Self::Leetspeak => letters.iter_mut().for_each(|c| *c = leet(*c, random)),
            Self::Homoglyphs => letters.iter_mut().for_each(|c| *c = homoglyph(*c)),
            Self::Spacing => {
                return letters.iter().map(char::to_string).collect::<Vec<_>>().join(" ");
            }
            Self::Joining => {}
        }
        letters.into_iter().collect()
    }
}

/// Whether a word is long enough to be recognised when it is changed.
fn is_longer(word: &str) -> bool {
    word.len() > 3 && word.chars().all(|c| c.is_ascii_alphabetic())
}

fn leet(letter: char, random: &mut Random) -> char {
    let signs: &[char] = match letter.to_ascii_lowercase() {
        'a' => &['4', '@'],
        'e' => &['3'],
        'i' => &['1', '!'],
        'o' => &['0'],
        's' => &['5', '$'],
        't' => &['7'],
        _ => return letter,
    };
    if random.unit() < 0.6 { *random.pick(signs) } else { letter }
}

const fn homoglyph(letter: char) -> char {
    match letter {
        'a' => '\u{430}',
        'c' => '\u{441}',
        'e' => '\u{435}',
        'i' => '\u{456}',
        'o' => '\u{43e}',
        'p' => '\u{440}',
        'x' => '\u{445}',
        'y' => '\u{443}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(perturbation: Perturbation) -> String {
        perturbation.apply("moonlight is so", 1, &mut Random::new(1))
    }

    #[test]
    fn each_way_changes_a_longer_word_and_no_other() {
        assert_eq!(applied(Perturbation::Deletion).len(), "moonlight is so".len() - 1);
        assert_eq!(applied(Perturbation::Joining), "moonlightis so");
        assert_eq!(applied(Perturbation::Spacing), "m o o n l i g h t is so");
        assert_eq!(applied(Perturbation::Homoglyphs), "m\u{43e}\u{43e}nl\u{456}ght is so");
        for perturbation in Perturbation::ALL {
            assert_ne!(applied(perturbation), "moonlight is so", "{}", perturbation.name());
            assert!(applied(perturbation).ends_with(" so"));
            assert_eq!(perturbation.apply("a an is", 3, &mut Random::new(1)), "a an is");
        }
    }
}

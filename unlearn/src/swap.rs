//! Naming another group: the same text, said of others.
//!
//! Words for groups, whole and in any case, are exchanged for the words that stand in the same place
//! when another group is named: `he` for `she`, `synagogue` for `church`. Exactly two groups take
//! part, each of which stands for the other throughout the text. The words are in `groups.txt`.

mod exchange;
mod pronoun;
mod spelling;
mod table;

use std::ops::Range;

use crate::corpus::Domain;
use crate::random::Random;

pub use exchange::Exchange;

/// A text in which two groups have changed places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// The text.
    pub text: String,
    /// What was exchanged, in order: the bytes of the original, and those of [`Swap::text`]. Beside
    /// the groups' words these are articles that follow them (`a Jew`, `an Asian`).
    pub spans: Vec<(Range<usize>, Range<usize>)>,
}

impl Swap {
    /// Where a part of the original lies in the swapped text. A word that was exchanged and lies
    /// partly in it lies in it whole.
    #[must_use]
    pub fn range(&self, part: &Range<usize>) -> Range<usize> {
        let around =
            |at: usize| self.spans.iter().find(|(from, _)| from.start < at && at < from.end);
        let start = around(part.start).map_or_else(|| self.place(part.start), |(_, to)| to.start);
        let end = around(part.end).map_or_else(|| self.place(part.end), |(_, to)| to.end);
        start..end
    }

    /// Where a place outside of exchanged words lies in the swapped text.
    pub(crate) fn place(&self, at: usize) -> usize {
        let before = self.spans.iter().rfind(|(from, _)| from.end <= at);
        before.map_or(at, |(from, to)| at - from.end + to.end)
    }
}

/// Has another group take the place of the one that `text` names; `None` if it names none of the
/// domain.
///
/// In the gender and orientation domains there is one other group and no chance; in the others the
/// other group is drawn from those that have a word for each that is needed.
#[must_use]
pub fn swap(domain: Domain, text: &str, random: &mut Random) -> Option<Swap> {
    Some(Exchange::draw(domain, text, random)?.apply(text))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn swapped(domain: Domain, text: &str) -> String {
        swap(domain, text, &mut Random::new(0)).unwrap().text
    }

    #[test]
    fn parts_move_with_the_words_before_them_and_take_exchanged_words_whole() {
        let text = "A man and his dog saw a Jew";
        let swap = swap(Domain::Gender, text, &mut Random::new(0)).unwrap();
        assert_eq!(swap.text, "A woman and her dog saw a Jew");
        for (part, moved) in
            [("man", "woman"), ("an", "woman"), ("nd hi", "nd her"), ("dog", "dog")]
        {
            let start = text.find(part).unwrap();
            let range = swap.range(&(start..start + part.len()));
            assert_eq!(&swap.text[range], moved, "{part}");
        }
        assert_eq!(swap.range(&(0..text.len())), 0..swap.text.len());
    }

    #[test]
    fn women_and_men_change_places_with_their_pronouns() {
        for (one, other) in [
            ("He lost his keys; she gave him HER car.", "She lost her keys; he gave her HIS car."),
            ("Her uncle saw himself and his sons", "His aunt saw herself and her daughters"),
            ("She's a schoolgirl, and the book is hers.", "He's a schoolboy, and the book is his."),
            ("an heiress told her that", "an heir told him that"),
            ("MEN, men and woMen; womens", "WOMEN, women and men; mens"),
        ] {
            assert_eq!(swapped(Domain::Gender, one), other);
        }
        let back = swapped(Domain::Gender, "She lost her keys; he gave her HIS car.");
        assert_eq!(back, "He lost his keys; she gave him HER car.");
    }

    #[test]
    fn the_words_beside_a_pronoun_decide_what_stands_for_it() {
        for (one, other) in [
            ("I met her yesterday", "I met him yesterday"),
            ("I met her father", "I met his mother"),
            ("I met her because she called", "I met him because he called"),
            ("I met her.", "I met him."),
            ("I met her at noon", "I met him at noon"),
            ("the dog is his, she says", "the dog is hers, he says"),
        ] {
            assert_eq!(swapped(Domain::Gender, one), other);
        }
    }

    #[test]
    fn one_group_takes_the_place_of_another_in_every_form_and_in_no_other_s() {
        let mut others = HashSet::new();
        for seed in 0..40 {
            let text = "A jewish man and Jews pray in a synagogue, Hindus in a temple.";
            let swap = swap(Domain::ReligionJews, text, &mut Random::new(seed)).unwrap();
            others.insert(swap.text);
        }
        let expected = [
            "A christian man and Christians pray in a church, Hindus in a temple.",
            "A buddhist man and Buddhists pray in a temple, Hindus in a synagogue.",
            "A hindu man and Hindus pray in a temple, Jews in a synagogue.",
            "A sikh man and Sikhs pray in a gurdwara, Hindus in a temple.",
        ];
        assert!(others.iter().all(|text| expected.contains(&text.as_str())), "{others:?}");
        assert!(others.len() >= 2, "{others:?}");
    }

    #[test]
    fn a_group_without_a_word_that_is_needed_is_not_drawn() {
        for seed in 0..40 {
            let random = &mut Random::new(seed);
            let text =
                swap(Domain::ReligionMuslims, "Muslims read the Koran", random).unwrap().text;
            assert!(!text.contains("Sikhs"), "{text}");
            let text = swap(Domain::Race, "An Asian from Asia", random).unwrap().text;
            assert!(
                ["n African from Africa", " European from Europe", "n American from America"]
                    .contains(&&text[1..]),
                "{text}"
            );
            let text = swap(Domain::Race, "the Chinese eat", random).unwrap().text;
            let plural = text.ends_with("ese eat") || text == "the Swiss eat";
            assert!(plural, "no other word says adjective and plural: {text}");
        }
    }

    #[test]
    fn a_text_that_names_no_group_of_the_domain_is_left_alone() {
        let none =
            |domain, text| assert_eq!(swap(domain, text, &mut Random::new(1)), None, "{text}");
        none(Domain::Gender, "Human mansions, heroism and theirs");
        none(Domain::Race, "polished blackboards and turkey");
        none(Domain::ReligionJews, "Christians in a church");
        none(Domain::Orientation, "a straight line");
        none(Domain::Race, "");
        assert_eq!(swapped(Domain::Orientation, "Gay men"), "Straight men");
        assert!(!swapped(Domain::ReligionMuslims, "Arabs read the Quran").contains("Arabs"));
    }

    #[test]
    fn spans_say_what_was_exchanged_and_the_rest_is_the_same() {
        let texts = [
            "\u{1f600} a Norwegian na\u{ef}ve norwegians, Norway",
            "An Indian, an Egyptian and a Thai from India",
            "a black man is black",
        ];
        for text in texts {
            for seed in 0..20 {
                let swap = swap(Domain::Race, text, &mut Random::new(seed)).unwrap();
                let (mut at, mut other) = (0, 0);
                for (from, to) in &swap.spans {
                    assert_eq!(text[at..from.start], swap.text[other..to.start]);
                    assert_ne!(text[from.clone()], swap.text[to.clone()]);
                    (at, other) = (from.end, to.end);
                }
                assert_eq!(text[at..], swap.text[other..]);
            }
        }
    }
}

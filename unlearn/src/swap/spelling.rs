//! How a word that takes another's place is spelled there.

/// Vowels that are spoken as consonants at the start of a word.
const SPOKEN_Y: [&str; 5] = ["eu", "ug", "uk", "ur", "us"];

/// `word` in the case that `original` has. `usual` is how `original` is spelled inside a sentence.
pub(super) fn in_case_of(original: &str, usual: &str, word: &str, begins_sentence: bool) -> String {
    let is_upper = |text: &str| text.chars().all(|c| !c.is_lowercase());
    let is_capital = |text: &str| text.starts_with(char::is_uppercase);
    if original.chars().count() > 1 && is_upper(original) && !is_upper(usual) {
        word.to_uppercase()
    } else if !is_capital(original) && is_capital(usual) {
        word.to_lowercase()
    } else if is_capital(original) && (!is_capital(usual) || begins_sentence) {
        capitalised(word)
    } else {
        word.to_owned()
    }
}

/// `word` with a capital letter.
pub(crate) fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.collect::<String>() + letters.as_str()
}

/// The article of `word` in the case of `article`; `None` if that is no article, or is right.
pub(super) fn article(article: &str, word: &str) -> Option<String> {
    let lower = article.to_lowercase();
    let right = if begins_with_vowel(word) { "an" } else { "a" };
    let is_other = matches!(lower.as_str(), "a" | "an") && lower != right;
    let upper = article.starts_with(char::is_uppercase);
    is_other.then(|| if upper { capitalised(right) } else { right.to_owned() })
}

/// Whether a group's word is spoken with a vowel first.
fn begins_with_vowel(word: &str) -> bool {
    let word = word.to_lowercase();
    let spoken_y = SPOKEN_Y.iter().any(|start| word.starts_with(start));
    let silent_h = word.starts_with("heir");
    silent_h || (word.starts_with(['a', 'e', 'i', 'o', 'u']) && !spoken_y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_takes_the_case_of_the_one_it_replaces() {
        let spelled = |original, usual, word| in_case_of(original, usual, word, false);
        assert_eq!(spelled("she", "she", "he"), "he");
        assert_eq!(spelled("She", "she", "he"), "He");
        assert_eq!(spelled("SHE", "she", "he"), "HE");
        assert_eq!(spelled("Muslims", "Muslims", "Hindus"), "Hindus");
        assert_eq!(spelled("muslims", "Muslims", "Hindus"), "hindus");
        assert_eq!(spelled("black", "black", "Hispanic"), "Hispanic");
        assert_eq!(spelled("Arab", "Arab", "white"), "white");
        assert_eq!(in_case_of("Arab", "Arab", "white", true), "White");
    }

    #[test]
    fn articles_follow_the_sound_of_the_next_word() {
        assert_eq!(article("a", "Asian"), Some("an".to_owned()));
        assert_eq!(article("An", "European"), Some("A".to_owned()));
        assert_eq!(article("a", "heiress"), Some("an".to_owned()));
        assert_eq!(article("an", "Asian"), None);
        assert_eq!(article("the", "Asian"), None);
    }
}

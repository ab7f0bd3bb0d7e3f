//! Text as it was meant: what spelling tricks hide from a vocabulary is undone.

use unicode_normalization::UnicodeNormalization as _;
use unicode_security::confusable_detection::skeleton;

/// Letters of a word that is spelled out, such as `h a t e`, from which on it is put together.
const SPELLED_LETTERS: usize = 3;

/// Lower case, look-alike and accented letters as plain ones, spelled-out words joined, digits and
/// signs inside words read as the letters they stand for. Words are separated by single spaces.
pub(super) fn plain(text: &str) -> String {
    let folded = fold(text);
    let mut words: Vec<String> = Vec::new();
    let mut letters = 0;
    for word in folded.split_whitespace() {
        let word = joined(word);
        if is_letter(&word) {
            letters += 1;
        } else {
            join_last(&mut words, letters);
            letters = 0;
        }
        words.push(unleet(&word));
    }
    join_last(&mut words, letters);
    words.join(" ")
}

/// Letters that look alike become one, accents and what cannot be seen go.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            folded.push(character.to_ascii_lowercase());
        } else if character.is_whitespace() {
            folded.push(' ');
        } else {
            fold_wide(character, &mut folded);
        }
    }
    folded
}

/// A character beyond ASCII: first its compatibility decomposition, then what it can be confused
/// with ([UTS 39](https://www.unicode.org/reports/tr39/#Confusable_Detection)).
fn fold_wide(character: char, folded: &mut String) {
    match character {
        '\u{2018}' | '\u{2019}' => folded.push('\''),
        '\u{201c}' | '\u{201d}' => folded.push('"'),
        // Soft hyphen, zero-width characters, byte order mark, variation selectors.
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' => {}
        _ => {
            for part in character.nfkd().filter(|part| !matches!(part, '\u{300}'..='\u{36f}')) {
                fold_part(part, folded);
            }
        }
    }
}

fn fold_part(part: char, folded: &mut String) {
    if part.is_ascii() {
        return folded.push(part.to_ascii_lowercase());
    }
    let alike: String = skeleton(part.encode_utf8(&mut [0; 4])).collect();
    // The table has no m: it says "rn".
    let alike = if alike == "rn" { "m" } else { &alike };
    folded.extend(alike.chars().flat_map(char::to_lowercase));
}

/// `h.a.t.e` and `h-a-t-e` as one word.
fn joined(word: &str) -> String {
    let is_separator = |c: char| matches!(c, '.' | '-' | '_' | '*' | '+');
    let mut parts = word.split(is_separator);
    let spelled = parts.clone().filter(|part| is_letter(part)).count() >= SPELLED_LETTERS
        && parts.all(|part| part.is_empty() || is_letter(part));
    if spelled { word.replace(is_separator, "") } else { word.to_owned() }
}

/// Puts the last `letters` words, each a letter, together.
fn join_last(words: &mut Vec<String>, letters: usize) {
    if letters >= SPELLED_LETTERS {
        let spelled = words.split_off(words.len() - letters).concat();
        words.push(spelled);
    }
}

fn is_letter(word: &str) -> bool {
    let mut characters = word.chars();
    characters.next().is_some_and(char::is_alphanumeric) && characters.next().is_none()
}

/// `w0m3n` as a word of letters. Numbers such as `4th`, `20k` and `$5` stay.
fn unleet(word: &str) -> String {
    let end =
        word.trim_end_matches(|c: char| c.is_ascii_punctuation() && c != '$' && c != '@').len();
    let (core, tail) = word.split_at(end);
    if is_number(core) || !core.contains(|c: char| c.is_ascii_alphabetic()) {
        return word.to_owned();
    }
    core.chars().map(letter).chain(tail.chars()).collect()
}

/// Digits with a short unit, such as `90s` or `$20k`.
fn is_number(word: &str) -> bool {
    let word = word.trim_start_matches(|c: char| c.is_ascii_punctuation());
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',');
    unit.len() < word.len() && unit.len() <= 2
}

const fn letter(character: char) -> char {
    match character {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_only_loses_its_capitals() {
        assert_eq!(plain("Hello, World!  It's 5 o'clock."), "hello, world! it's 5 o'clock.");
        assert_eq!(
            plain("The 4th of July, in the 90s, for $20k"),
            "the 4th of july, in the 90s, for $20k"
        );
        assert_eq!(plain("a b, I am"), "a b, i am", "two letters are no spelled-out word");
    }

    #[test]
    fn spelling_tricks_are_undone() {
        assert_eq!(plain("w0m3n"), "women");
        assert_eq!(plain("$t4rs!!"), "stars!!");
        assert_eq!(plain("m o o n s"), "moons");
        assert_eq!(plain("the m.o.o.n and m-o-o-n"), "the moon and moon");
        assert_eq!(plain("ｍｏｏｎ"), "moon", "full width");
        assert_eq!(plain("mооn"), "moon", "Cyrillic look-alikes");
        assert_eq!(plain("mo\u{200b}on"), "moon", "zero width");
        assert_eq!(plain("café"), "cafe");
        assert_eq!(plain("It\u{2019}s"), "it's");
    }

    #[test]
    fn initials_and_file_names_stay() {
        assert_eq!(plain("U.S. e-mail v1.2"), "u.s. e-mail vi.2");
    }
}

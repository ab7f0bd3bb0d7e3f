//! A text with slots.

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slot {
    Text(String),
    /// `[this|that|]`
    OneOf(Vec<String>),
    /// `{name}`
    List(String),
    /// `{plural}`, `{singular}`, `{adjective}`: the group's.
    Plural,
    Singular,
    Adjective,
    /// `{attack}`: a text of another frame.
    Attack,
}

/// A text with slots, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) source: String,
    pub(super) slots: Vec<Slot>,
}

impl Template {
    /// Reads a text; the error says what is wrong with it.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        let mut slots = Vec::new();
        let mut rest = source;
        while let Some(start) = rest.find(['[', '{']) {
            if start > 0 {
                slots.push(Slot::Text(rest[..start].to_owned()));
            }
            let close = if rest[start..].starts_with('[') { ']' } else { '}' };
            let inside = &rest[start + 1..];
            let end =
                inside.find(close).ok_or_else(|| format!("a bracket is not closed by {close}"))?;
            slots.push(slot(&inside[..end], close));
            rest = &inside[end + 1..];
        }
        if rest.contains([']', '}']) {
            return Err("a bracket is closed that was not opened".to_owned());
        }
        if !rest.is_empty() {
            slots.push(Slot::Text(rest.to_owned()));
        }
        Ok(Self { source: source.to_owned(), slots })
    }

    /// Whether a group has a part in it.
    pub(super) fn mentions_group(&self) -> bool {
        self.slots.iter().any(|slot| {
            matches!(slot, Slot::Plural | Slot::Singular | Slot::Adjective | Slot::Attack)
        })
    }

    /// The lists that it takes words from.
    pub(super) fn lists(&self) -> impl Iterator<Item = &str> {
        self.slots
            .iter()
            .filter_map(|slot| if let Slot::List(name) = slot { Some(name.as_str()) } else { None })
    }
}

fn slot(inside: &str, close: char) -> Slot {
    if close == ']' {
        return Slot::OneOf(inside.split('|').map(str::to_owned).collect());
    }
    match inside {
        "plural" => Slot::Plural,
        "singular" => Slot::Singular,
        "adjective" => Slot::Adjective,
        "attack" => Slot::Attack,
        name => Slot::List(name.to_owned()),
    }
}

/// A filled text with single spaces, and `a` or `an` as the next word wants it.
pub(super) fn tidied(text: &str) -> String {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    for index in 1..words.len() {
        let vowel = words[index].starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']);
        words[index - 1] = match (words[index - 1], vowel) {
            ("a" | "an", true) => "an",
            ("a" | "an", false) => "a",
            (other, _) => other,
        };
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_into_its_slots() {
        let template = Template::parse("I {like} [all |]{plural}.").unwrap();
        let text = |text: &str| Slot::Text(text.to_owned());
        let choice = Slot::OneOf(vec!["all ".to_owned(), String::new()]);
        let list = Slot::List("like".to_owned());
        assert_eq!(template.slots, [text("I "), list, text(" "), choice, Slot::Plural, text(".")]);
        assert!(template.mentions_group());
        assert_eq!(template.lists().collect::<Vec<_>>(), ["like"]);
    }

    #[test]
    fn brackets_that_do_not_match_are_refused() {
        assert!(Template::parse("I {like").is_err());
        assert!(Template::parse("I like]").is_err());
    }

    #[test]
    fn articles_fit_their_nouns() {
        assert_eq!(tidied("a  apple and an pear"), "an apple and a pear");
    }
}

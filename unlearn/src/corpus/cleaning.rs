//! What collecting a text from a web page left in it.

/// The text without what collecting it from a web page left in: entities, links, user names.
pub(crate) fn cleaned(text: &str) -> String {
    let text = text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&#8220;", "\"").replace("&#8221;", "\"").replace("&#8217;", "'");
    let words = text.split_whitespace().filter(|word| {
        let is_link = word.starts_with("http://") || word.starts_with("https://");
        let is_user = word.starts_with('@') && word.len() > 1;
        !is_link && !is_user && *word != "RT"
    });
    words.map(without_entities).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A word without numeric character references, such as those of emoji.
fn without_entities(word: &str) -> String {
    let mut kept = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(start) = rest.find("&#") {
        kept.push_str(&rest[..start]);
        let digits = rest[start + 2..].bytes().take_while(u8::is_ascii_digit).count();
        let end = start + 2 + digits;
        rest = rest[end..].strip_prefix(';').unwrap_or(&rest[end..]);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cleaned_of_what_collecting_them_left_in() {
        let raw = "!! RT @someone: so &amp; so&#128514;&#8230; https://t.co/abc  @ me&#";
        assert_eq!(cleaned(raw), "!! so & so @ me");
    }
}

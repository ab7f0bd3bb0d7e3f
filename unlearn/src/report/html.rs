//! Pieces of HTML.

/// A text that means itself, in an element or in an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Plots side by side, as many as fit; nothing if there is none.
pub(super) fn gallery(plots: &[String]) -> String {
    if plots.is_empty() {
        return String::new();
    }
    format!("<div class=\"plots\">\n{}</div>\n", plots.concat())
}

/// A part that is folded until somebody asks for it; nothing if it is empty.
pub(super) fn folded(summary: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!("<details><summary>{}</summary>\n{content}</details>\n", escape(summary))
}

/// A drawing in pixels with what it shows.
pub(super) fn svg([width, height]: [f64; 2], title: &str, content: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width:.0}\" \
         height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\n\
         <title>{}</title>\n{content}</svg>\n",
        escape(title)
    )
}

/// A text in a drawing; `class` says how it is set.
pub(super) fn label(x: f64, y: f64, class: &str, text: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>\n", escape(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_can_open_no_element_and_close_no_attribute() {
        let escaped = escape("<b onclick=\"a\">'&amp;'</b>");
        assert_eq!(escaped, "&lt;b onclick=&quot;a&quot;&gt;&#39;&amp;amp;&#39;&lt;/b&gt;");
    }
}

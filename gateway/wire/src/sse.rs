//! Server-sent events, as far as OpenAI's streams use them.
//!
//! The framing of the [HTML standard](https://html.spec.whatwg.org/multipage/server-sent-events.html):
//! lines of `field: value`, an empty line after each event. Lines end at `\n`, `\r` or `\r\n`, so
//! none of these can be inside a line.

use serde::Serialize;

/// The event after the last one.
pub const DONE: &str = "data: [DONE]\n\n";

/// A comment, which clients skip: it shows a proxy that the stream is alive.
pub const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// The media type of a stream.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// An event that carries `text`.
#[must_use]
pub fn text_event(text: &str) -> String {
    let mut event = String::with_capacity(text.len() + 8);
    for line in lines(text) {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event
}

/// An event that carries `value` as JSON.
///
/// # Errors
/// Those of the value's own serialisation.
pub fn json_event(value: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(value).map(|json| text_event(&json))
}

/// Splits at every line end that a client would see.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\r', '\n']) else {
            rest = None;
            return Some(text);
        };
        let width = if text[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = Some(&text[end + width..]);
        Some(&text[..end])
    })
}

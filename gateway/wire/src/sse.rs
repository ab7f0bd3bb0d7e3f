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

/// What an event of one token takes with its envelope, roughly, in bytes.
const EVENT_BYTES: usize = 384;

/// Appends an event that carries `value` as JSON, which is one line: serde's compact form has no
/// line ends between values, and escapes those in texts.
///
/// # Errors
/// Those of the value's own serialisation; `events` is then as it was.
pub fn append_json(events: &mut Vec<u8>, value: &impl Serialize) -> Result<(), serde_json::Error> {
    let before = events.len();
    events.reserve(EVENT_BYTES);
    events.extend_from_slice(b"data: ");
    if let Err(error) = serde_json::to_writer(&mut *events, value) {
        events.truncate(before);
        return Err(error);
    }
    events.extend_from_slice(b"\n\n");
    Ok(())
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

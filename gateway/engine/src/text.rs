//! From tokens to text: whole characters, and stop strings across token borders.

use model::Tokenizer;

/// Turns one generation's tokens into text.
#[derive(Debug)]
pub(crate) struct TextAssembler {
    stop: Vec<String>,
    /// Bytes that are not a whole character yet.
    partial: Vec<u8>,
    /// Text that is held back because a stop string may begin in it.
    held: String,
    stopped: bool,
}

impl TextAssembler {
    pub(crate) const fn new(stop: Vec<String>) -> Self {
        Self { stop, partial: Vec::new(), held: String::new(), stopped: false }
    }

    /// Whether a stop string was met.
    pub(crate) const fn stopped(&self) -> bool {
        self.stopped
    }

    /// Takes a token's bytes and gives the text that is certain now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.partial.extend_from_slice(bytes);
        let text = take_characters(&mut self.partial);
        self.hold(&text)
    }

    /// Takes one token. Control tokens have no text.
    pub(crate) fn push_token(&mut self, tokenizer: &Tokenizer, token: u32) -> String {
        if tokenizer.is_control(token) {
            return String::new();
        }
        self.push(tokenizer.bytes(token).unwrap_or_default())
    }

    /// The rest, when no more tokens come. An unfinished character becomes U+FFFD.
    pub(crate) fn finish(&mut self) -> String {
        let rest = String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned();
        let mut text = self.hold(&rest);
        if !self.stopped {
            text.push_str(&std::mem::take(&mut self.held));
        }
        text
    }

    fn hold(&mut self, text: &str) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.push_str(text);
        let found = self.stop.iter().filter_map(|s| self.held.find(s.as_str())).min();
        if let Some(at) = found {
            self.stopped = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let keep = self.stop.iter().map(|s| overlap(&self.held, s)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, rest)
    }
}

/// The length of the longest end of `text` that begins `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let ends = stop.char_indices().map(|(at, _)| at).skip(1);
    ends.filter(|&len| text.ends_with(&stop[..len])).max().unwrap_or(0)
}

/// Takes all whole characters off the front; invalid bytes become U+FFFD.
fn take_characters(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut taken = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        taken += chunk.valid().len();
        let invalid = chunk.invalid();
        let unfinished = taken + invalid.len() == bytes.len() && is_unfinished(invalid);
        if invalid.is_empty() || unfinished {
            break;
        }
        text.push(char::REPLACEMENT_CHARACTER);
        taken += invalid.len();
    }
    bytes.drain(..taken);
    text
}

/// Whether more bytes could make this a character.
fn is_unfinished(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stop: &[&str], pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let mut text = TextAssembler::new(stop.iter().map(ToString::to_string).collect());
        let mut out: Vec<String> = pieces.iter().map(|p| text.push(p)).collect();
        out.push(text.finish());
        (out, text.stopped())
    }

    #[test]
    fn characters_come_whole() {
        let (out, _) = run(&[], &[&[b'a', 0xc3], &[0xa9], &[0xff, b'b'], &[0xe2, 0x82]]);
        assert_eq!(out, ["a", "é", "\u{fffd}b", "", "\u{fffd}"]);
    }

    #[test]
    fn a_stop_string_across_tokens_never_shows() {
        let (out, stopped) = run(&["END"], &[b"one E", b"N", b"D two"]);
        assert_eq!((out.concat().as_str(), stopped), ("one ", true));
        assert_eq!(out[0], "one ");
    }

    #[test]
    fn held_text_is_released_when_it_is_no_stop_string() {
        let (out, stopped) = run(&["END"], &[b"E", b"N", b"X", b"EN"]);
        assert_eq!(out, ["", "", "ENX", "", "EN"]);
        assert!(!stopped);
    }

    #[test]
    fn the_earliest_of_several_stop_strings_counts() {
        let (out, _) = run(&["bc", "b"], &[b"abc"]);
        assert_eq!(out.concat(), "a");
    }

    #[test]
    fn any_cut_of_the_bytes_gives_the_same_text() {
        let bytes = "naïve £END tail 日本".as_bytes();
        for cut in 0..bytes.len() {
            let (out, stopped) = run(&["END"], &[&bytes[..cut], &bytes[cut..]]);
            assert_eq!((out.concat().as_str(), stopped), ("naïve £", true), "cut at {cut}");
        }
    }
}

//! The bytes behind token texts.
//!
//! Byte-level vocabularies write each byte as a printable character (GPT-2's table);
//! `SentencePiece` ones write spaces as `▁` and stray bytes as `<0x0A>`.

use tokenizers::{DecoderWrapper, Tokenizer};

/// The bytes of every id of a tokenizer, control tokens as their own texts.
pub(super) fn table(inner: &Tokenizer) -> Vec<Vec<u8>> {
    let added = inner.get_added_tokens_decoder();
    let byte_level = matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_)));
    let size = inner.get_vocab_size(true);
    let id = |id: usize| u32::try_from(id).unwrap_or(u32::MAX);
    (0..size)
        .map(|i| match added.get(&id(i)) {
            Some(token) => token.content.clone().into_bytes(),
            None => match inner.id_to_token(id(i)) {
                Some(text) if byte_level => from_byte_level(&text),
                Some(text) => from_sentence_piece(&text),
                None => Vec::new(),
            },
        })
        .collect()
}

fn from_byte_level(text: &str) -> Vec<u8> {
    text.chars().filter_map(byte).collect()
}

/// GPT-2's table, backwards: printable Latin-1 stands for itself, the other 68 bytes are
/// U+0100 and on, in order.
fn byte(c: char) -> Option<u8> {
    let code = u32::from(c);
    let plain = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match u8::try_from(code) {
        Ok(b) => plain(b).then_some(b),
        Err(_) => (0..=u8::MAX).filter(|b| !plain(*b)).nth(code.checked_sub(0x100)? as usize),
    }
}

fn from_sentence_piece(text: &str) -> Vec<u8> {
    let hex = text.strip_prefix("<0x").and_then(|t| t.strip_suffix('>'));
    match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
        Some(byte) => vec![byte],
        None => text.replace('▁', " ").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let mut bytes: Vec<u8> = (0..0x200).filter_map(char::from_u32).filter_map(byte).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=u8::MAX).collect::<Vec<_>>());
        assert_eq!(from_byte_level("Ġthe"), b" the");
        assert_eq!(from_byte_level("Ċ"), b"\n");
        assert_eq!(from_byte_level("Ã©"), "é".as_bytes());
    }

    #[test]
    fn sentence_pieces_are_bytes_or_text() {
        assert_eq!(from_sentence_piece("<0x0A>"), b"\n");
        assert_eq!(from_sentence_piece("▁the"), b" the");
    }
}

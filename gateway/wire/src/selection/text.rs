//! The grammar of the header and of the model's suffix.
//!
//! ```text
//! header = [ item("=") *( "," item("=") ) ]        gender,race=0.5
//! suffix = [ item("@") *( "+" item("@") ) ]        gender+race@0.5
//! item(mark) = name [ mark scale ]
//! name   = [a-z0-9][a-z0-9._-]{0,63}
//! scale  = ["-"] 1*digit [ "." 1*digit ]           at most 48 characters
//! ```
//!
//! White space around an item of the header is skipped. Nothing at all chooses none.

use serde_json::{Value, json};

use super::{Item, MAX_ITEMS, Selection, SelectionError, Target};

/// The longest name.
const MAX_NAME_BYTES: usize = 64;
/// The longest scale.
const MAX_SCALE_BYTES: usize = 48;

impl Selection {
    /// Reads the value of the header.
    ///
    /// # Errors
    /// [`SelectionError`] if it is not of the grammar.
    pub fn parse_header(value: &str) -> Result<Self, SelectionError> {
        parse(value, ',', '=')
    }

    /// Reads what stands behind `::` in a model's name.
    ///
    /// # Errors
    /// [`SelectionError`] if it is not of the grammar.
    pub fn parse_suffix(suffix: &str) -> Result<Self, SelectionError> {
        if suffix.contains([' ', '\t']) {
            return Err(NAME_FAULT);
        }
        parse(suffix, '+', '@')
    }
}

/// Of what can stand in the header, but for names that stand twice.
#[must_use]
pub fn header_schema() -> Value {
    let item = r"[ \t]*[a-z0-9][a-z0-9._-]{0,63}(=-?[0-9]{1,20}(\.[0-9]{1,20})?)?[ \t]*";
    json!({"type": "string", "pattern": format!(r"^({item}(,{item})*|[ \t]*)$")})
}

const NAME_FAULT: SelectionError = SelectionError::Syntax(
    "an adapter name has 1 to 64 lower-case letters, digits, '.', '_' and '-', and begins with a \
     letter or digit",
);

const SCALE_FAULT: SelectionError =
    SelectionError::Syntax("a scale is a plain decimal number, such as 0.5 or -1");

fn parse(text: &str, separator: char, mark: char) -> Result<Selection, SelectionError> {
    let text = text.trim_matches([' ', '\t']);
    if text.is_empty() {
        return Ok(Selection::default());
    }
    let items = text.split(separator).take(MAX_ITEMS + 1).map(|item| parse_item(item, mark));
    Selection::checked(items.collect::<Result<_, _>>()?)
}

fn parse_item(item: &str, mark: char) -> Result<Item, SelectionError> {
    let item = item.trim_matches([' ', '\t']);
    let (name, scale) = match item.split_once(mark) {
        Some((name, scale)) => (name, parse_scale(scale)?),
        None => (item, 1.0),
    };
    Ok(Item { target: Target::Named(parse_name(name)?), scale })
}

/// Reads a name; what is not one cannot name an adapter or a preset.
pub(super) fn parse_name(text: &str) -> Result<String, SelectionError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let valid = text.len() <= MAX_NAME_BYTES
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'));
    if valid { Ok(text.to_owned()) } else { Err(NAME_FAULT) }
}

fn parse_scale(text: &str) -> Result<f32, SelectionError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if text.len() > MAX_SCALE_BYTES || !number(whole) || !number(fraction) {
        return Err(SCALE_FAULT);
    }
    text.parse().map_err(|_| SCALE_FAULT)
}

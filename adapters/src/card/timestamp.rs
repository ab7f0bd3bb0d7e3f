//! Moments, as cards write them.

use serde::{Deserialize, Serialize};

/// A moment in UTC, to the second, as RFC 3339 spells it: `2026-11-24T00:00:00Z`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(String);

/// The text is not a [`Timestamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written like 2026-11-24T00:00:00Z")]
pub struct TimestampError;

impl Timestamp {
    /// Reads a timestamp.
    ///
    /// # Errors
    /// [`TimestampError`] if `text` is not a moment in the form `YYYY-MM-DDThh:mm:ssZ`.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let shape = b"dddd-dd-ddTdd:dd:ddZ";
        let shaped = text.len() == shape.len()
            && text.bytes().zip(shape).all(|(b, &s)| match s {
                b'd' => b.is_ascii_digit(),
                _ => b == s,
            });
        if !shaped {
            return Err(TimestampError);
        }
        // Every byte is ASCII now, so the ranges below cannot split a character.
        let number =
            |range: std::ops::Range<usize>| text[range].parse::<u32>().map_err(|_| TimestampError);
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let in_range = (1..=12).contains(&month)
            && (1..=days(year, month)).contains(&day)
            && number(11..13)? < 24
            && number(14..16)? < 60
            && number(17..19)? < 60;
        if in_range { Ok(Self(text.to_owned())) } else { Err(TimestampError) }
    }

    /// The moment as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Days in a month of the Gregorian calendar.
const fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;

    fn try_from(text: String) -> Result<Self, TimestampError> {
        Self::parse(&text)
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

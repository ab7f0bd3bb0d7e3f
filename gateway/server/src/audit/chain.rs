//! The chain: how a record becomes a line, and how lines are checked.
//!
//! A line is the record's JSON object with its hash as the first member. The hash is
//! SHA-256(hash of the record before, 32 bytes || the object without that member, as it stands in
//! the line). So what is hashed is bytes, and nobody has to agree on how JSON is written.

use std::fmt;

use base16ct::{HexDisplay, lower};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// The longest line that is written or read.
pub(super) const MAX_LINE_BYTES: usize = 1 << 20;

const OPEN: &[u8] = b"{\"hash\":\"";
const DIGITS: usize = 64;
const CLOSE: &[u8] = b"\",";
/// Where the record's members begin.
const HEAD: usize = OPEN.len() + DIGITS + CLOSE.len();

/// What a record adds to the chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Link([u8; 32]);

impl Link {
    /// What stands before the first record of all.
    pub const GENESIS: Self = Self([0; 32]);

    /// Reads 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let read = lower::decode(text, &mut bytes).ok()?;
        (read.len() == size_of::<Self>()).then_some(Self(bytes))
    }

    fn next(self, record: [&[u8]; 2]) -> Self {
        let hash = Sha256::new().chain_update(self.0).chain_update(record[0]);
        Self(hash.chain_update(record[1]).finalize().into())
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", HexDisplay(&self.0))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How far a chain has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The number of the last record; 0 before the first.
    pub sequence: u64,
    /// Its hash.
    pub link: Link,
}

impl Position {
    /// Before the first record of all.
    pub const START: Self = Self { sequence: 0, link: Link::GENESIS };

    /// Appends the line of the next record to `lines`. `record` is given the record's number, and
    /// writes a JSON object with at least one member.
    ///
    /// # Errors
    /// Those of `record`; nothing has changed then.
    pub(super) fn append<R: Serialize>(
        &mut self,
        lines: &mut Vec<u8>,
        record: impl FnOnce(u64) -> R,
    ) -> Result<(), serde_json::Error> {
        let sequence = self.sequence + 1;
        let object = serde_json::to_vec(&record(sequence))?;
        let link = self.link.next([&object, b""]);
        lines.extend_from_slice(OPEN);
        lines.extend_from_slice(link.to_string().as_bytes());
        lines.extend_from_slice(CLOSE);
        lines.extend_from_slice(object.get(1..).unwrap_or_default());
        lines.push(b'\n');
        *self = Self { sequence, link };
        Ok(())
    }
}

/// Why a line is not the next one of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is longer than any that is written.
    #[error("it is longer than a record can be")]
    TooLong,
    /// It is no JSON object that begins with a hash and has a number.
    #[error("it is not a record")]
    Malformed,
    /// Its hash is not that of the record before and its own bytes.
    #[error("its hash does not follow from it and the record before")]
    Hash,
    /// Its number does not follow.
    #[error("its number is {found} and not {expected}")]
    Sequence {
        /// The number that follows.
        expected: u64,
        /// The one that is there.
        found: u64,
    },
    /// A file does not begin with the record that says what it continues, or has a second one.
    #[error("the record of a new file stands where none can be, or is missing")]
    Opening,
}

/// Checks the lines of one file, one after the other.
#[derive(Debug)]
pub(super) struct Checker {
    /// `None` before the first line.
    position: Option<Position>,
    /// What the file continues, once that is known.
    start: Position,
}

/// What a record must have.
#[derive(Deserialize)]
struct Frame {
    seq: u64,
    event: String,
    previous: Option<String>,
}

/// The event of a file's first record.
pub(super) const OPENED: &str = "opened";

impl Checker {
    pub(super) const fn new() -> Self {
        Self { position: None, start: Position::START }
    }

    /// Checks the next line, which comes without its line feed.
    ///
    /// # Errors
    /// [`Fault`]; the check is over then.
    pub(super) fn check(&mut self, line: &[u8]) -> Result<Position, Fault> {
        if line.len() > MAX_LINE_BYTES {
            return Err(Fault::TooLong);
        }
        let (link, members) = split(line).ok_or(Fault::Malformed)?;
        let record = [b"{".as_slice(), members];
        let frame: Frame =
            serde_json::from_slice(&record.concat()).map_err(|_| Fault::Malformed)?;
        let before = self.before(&frame)?;
        if before.link.next(record) != link {
            return Err(Fault::Hash);
        }
        let expected = before.sequence + 1;
        if frame.seq != expected {
            return Err(Fault::Sequence { expected, found: frame.seq });
        }
        let position = Position { sequence: frame.seq, link };
        self.position = Some(position);
        Ok(position)
    }

    /// What the record follows; the first one says so itself.
    fn before(&mut self, frame: &Frame) -> Result<Position, Fault> {
        match (self.position, frame.event == OPENED) {
            (Some(position), false) => Ok(position),
            (None, true) => {
                let link = frame.previous.as_deref().and_then(Link::parse).ok_or(Fault::Opening)?;
                let sequence = frame.seq.checked_sub(1).ok_or(Fault::Opening)?;
                let start = Position { sequence, link };
                if (sequence == 0) != (link == Link::GENESIS) {
                    return Err(Fault::Opening);
                }
                self.start = start;
                Ok(start)
            }
            (Some(_), true) | (None, false) => Err(Fault::Opening),
        }
    }

    /// What the file continues.
    pub(super) const fn start(&self) -> Position {
        self.start
    }

    /// Where the last line leads; `None` if there was none.
    pub(super) const fn position(&self) -> Option<Position> {
        self.position
    }
}

/// A line's hash and the record's members.
fn split(line: &[u8]) -> Option<(Link, &[u8])> {
    let (head, members) = line.split_at_checked(HEAD)?;
    let digits = head.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    Some((Link::parse(std::str::from_utf8(digits).ok()?)?, members))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Python: `sha256(bytes(32) + b'{"seq":1,"event":"opened","previous":"' + b"0" * 64 + b'"}')`.
    const FIRST: &str = "de193eecbb85ec665a8a6aea9f87a3664e1f9d923b3b45c18e1e88a6c4ecd6c7";

    #[derive(Serialize)]
    struct Opened {
        seq: u64,
        event: &'static str,
        previous: Link,
    }

    #[test]
    fn the_hash_is_that_of_the_former_hash_and_the_bytes_of_the_record() {
        let mut lines = Vec::new();
        let mut position = Position::START;
        let opened = |seq| Opened { seq, event: OPENED, previous: Link::GENESIS };
        position.append(&mut lines, opened).unwrap();
        let text = String::from_utf8(lines).unwrap();
        assert_eq!(position.link.to_string(), FIRST);
        assert!(text.starts_with(&format!("{{\"hash\":\"{FIRST}\",\"seq\":1,")), "{text}");
        let mut checker = Checker::new();
        assert_eq!(checker.check(text.trim_end().as_bytes()), Ok(position));
    }

    #[test]
    fn a_file_begins_with_the_record_that_says_what_it_continues_and_has_one() {
        let line = |position: Position, event: &str, previous: &str| {
            let (mut lines, mut next) = (Vec::new(), position);
            let record = |seq| json!({"seq": seq, "event": event, "previous": previous});
            next.append(&mut lines, record).unwrap();
            lines.pop();
            (lines, next)
        };
        let (first, after) = line(Position::START, OPENED, &Link::GENESIS.to_string());
        for (none, _) in [line(Position::START, "request", ""), line(Position::START, OPENED, "x")]
        {
            assert_eq!(Checker::new().check(&none), Err(Fault::Opening));
        }
        let mut checker = Checker::new();
        assert_eq!(checker.check(&first), Ok(after));
        let (again, _) = line(after, OPENED, &after.link.to_string());
        assert_eq!(checker.check(&again), Err(Fault::Opening));
        let mut continued = Checker::new();
        assert!(continued.check(&again).is_ok());
        assert_eq!(continued.start(), after);
        let (skipped, _) = line(Position { sequence: 5, ..after }, "request", "");
        assert_eq!(checker.check(&skipped), Err(Fault::Sequence { expected: 2, found: 6 }));
    }
}

//! Reads a whole file of the log and checks it.

use std::io::{self, BufRead};

use super::chain::{Checker, Fault, MAX_LINE_BYTES, Position};

/// What is in a file without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scan {
    /// What the file continues.
    pub(super) start: Position,
    /// Where its last complete line leads; `None` if it has none.
    pub(super) end: Option<Position>,
    /// The length of its complete lines.
    pub(super) complete_bytes: u64,
    /// The length of the unfinished line behind them.
    pub(super) torn_bytes: u64,
}

/// Why a file is no log.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The operating system's.
    #[error("it cannot be read: {}", .0.kind())]
    Read(#[from] io::Error),
    /// A line is not the next one of the chain.
    #[error("line {line}: {fault}")]
    Broken {
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// Checks all of `reader`, and shows each record's place in the chain to `visit`.
///
/// # Errors
/// [`ScanError`] with the first fault. An unfinished last line is none.
pub(super) fn scan(
    mut reader: impl BufRead,
    mut visit: impl FnMut(Position),
) -> Result<Scan, ScanError> {
    let mut checker = Checker::new();
    let (mut line, mut complete_bytes, mut bytes) = (1, 0, Vec::new());
    loop {
        let torn_bytes = read_line(&mut reader, &mut bytes)?;
        if bytes.pop_if(|last| *last == b'\n').is_none() {
            let (start, end) = (checker.start(), checker.position());
            return Ok(Scan { start, end, complete_bytes, torn_bytes });
        }
        let checked = checker.check(&bytes);
        visit(checked.map_err(|fault| ScanError::Broken { line, fault })?);
        line += 1;
        complete_bytes += torn_bytes;
    }
}

/// Reads a line with its end into `bytes`, of one that is too long only as much as shows that.
fn read_line(reader: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<u64> {
    bytes.clear();
    let mut length = 0;
    loop {
        let part = reader.fill_buf()?;
        let end = part.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(part.len(), |index| index + 1);
        let room = (MAX_LINE_BYTES + 2).saturating_sub(bytes.len());
        bytes.extend_from_slice(&part[..count.min(room)]);
        if end.is_some() && count > room {
            bytes.push(b'\n');
        }
        reader.consume(count);
        length += count as u64;
        if end.is_some() || count == 0 {
            return Ok(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::chain::OPENED;
    use super::*;

    /// A file of `count` records.
    fn file(count: u64) -> (Vec<u8>, Position) {
        let (mut lines, mut position) = (Vec::new(), Position::START);
        for number in 1..=count {
            let event = if number == 1 { OPENED } else { "request" };
            let previous = Position::START.link.to_string();
            let record =
                |seq| json!({"seq": seq, "event": event, "previous": previous, "n": number});
            position.append(&mut lines, record).unwrap();
        }
        (lines, position)
    }

    fn check(bytes: &[u8]) -> Result<Scan, ScanError> {
        scan(bytes, |_| {})
    }

    fn broken_at(bytes: &[u8]) -> Option<u64> {
        match check(bytes) {
            Err(ScanError::Broken { line, .. }) => Some(line),
            Err(ScanError::Read(_)) | Ok(_) => None,
        }
    }

    #[test]
    fn a_good_file_says_where_it_leads() {
        let (lines, end) = file(5);
        let scan = check(&lines).unwrap();
        let complete_bytes = lines.len() as u64;
        let expected =
            Scan { start: Position::START, end: Some(end), complete_bytes, torn_bytes: 0 };
        assert_eq!(scan, expected);
        assert_eq!(check(b"").unwrap().end, None);
    }

    #[test]
    fn every_change_of_a_single_byte_is_found_at_its_line() {
        let (lines, _) = file(4);
        for index in 0..lines.len() {
            let line = lines[..index].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
            for flip in 1..=255 {
                let mut changed = lines.clone();
                changed[index] ^= flip;
                if index + 1 == lines.len() {
                    // Without its end the last line is an unfinished one.
                    assert_eq!(check(&changed).unwrap().end.unwrap().sequence, 3);
                } else {
                    assert_eq!(broken_at(&changed), Some(line), "byte {index} ^ {flip}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn lines_that_are_missing_or_elsewhere_are_found(
            count in 3_u64..9, first in 0_usize..9, second in 0_usize..9
        ) {
            let (bytes, _) = file(count);
            let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
            let (first, second) = (first % lines.len(), second % lines.len());
            let mut swapped = lines.clone();
            swapped.swap(first, second);
            let earlier = (first != second).then_some(first.min(second) as u64 + 1);
            prop_assert_eq!(broken_at(&swapped.concat()), earlier);
            let mut fewer = lines.clone();
            fewer.remove(first);
            let missing = (first + 1 < lines.len()).then_some(first as u64 + 1);
            prop_assert_eq!(broken_at(&fewer.concat()), missing);
            let mut doubled = lines.clone();
            doubled.insert(first, lines[first]);
            prop_assert_eq!(broken_at(&doubled.concat()), Some(first as u64 + 2));
        }

        #[test]
        fn what_is_cut_off_anywhere_leaves_the_lines_before_it(count in 1_u64..6, cut: prop::sample::Index) {
            let (bytes, _) = file(count);
            let cut = cut.index(bytes.len());
            let scan = check(&bytes[..cut]).unwrap();
            let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count() as u64;
            prop_assert_eq!(scan.end.map_or(0, |end| end.sequence), whole);
            prop_assert_eq!(scan.complete_bytes + scan.torn_bytes, cut as u64);
        }

        #[test]
        fn any_bytes_are_a_file_or_a_fault(bytes: Vec<u8>) {
            let _ = check(&bytes);
        }
    }

    #[test]
    fn a_line_without_an_end_in_sight_is_too_long() {
        let mut lines = vec![b'x'; 3 << 20];
        assert_eq!(check(&lines).unwrap().torn_bytes, 3 << 20);
        lines.push(b'\n');
        let Err(ScanError::Broken { line: 1, fault: Fault::TooLong }) = check(&lines) else {
            panic!("too long")
        };
    }
}

//! CSV tables with named columns.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::evaluation::{DataError, read_bytes};

/// How a table's bytes are letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Latin1,
}

/// The rows of a table. What is wrong is told by its line, never by its text.
pub(crate) fn rows<T: DeserializeOwned>(
    path: &Path,
    encoding: Encoding,
) -> Result<Vec<T>, DataError> {
    let bytes = read_bytes(path)?;
    let bytes = match encoding {
        Encoding::Utf8 => bytes,
        Encoding::Latin1 => bytes.iter().copied().map(char::from).collect::<String>().into_bytes(),
    };
    let rows = csv::Reader::from_reader(bytes.as_slice()).into_deserialize().enumerate();
    let row = |(index, row): (usize, csv::Result<T>)| {
        let malformed = |error: csv::Error| {
            let line = error.position().map_or(index as u64 + 2, csv::Position::line);
            DataError::Line { line: usize::try_from(line).unwrap_or(usize::MAX), column: 1 }
        };
        row.map_err(malformed)
    };
    rows.map(row).collect()
}

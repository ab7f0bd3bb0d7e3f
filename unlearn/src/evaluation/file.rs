//! Data files: read whole, within a bound.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use adapters::card::WordError;

/// The largest data file that is read, in bytes.
const MAX_BYTES: u64 = 256 << 20;

/// Why a data file cannot be used. Says where, never what the text was.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused, or the text is not UTF-8.
    #[error("{file} cannot be read: {source}")]
    Io {
        /// The file's name.
        file: String,
        /// The reason.
        source: io::Error,
    },
    /// The file is larger than any that is expected.
    #[error("{0} is too large")]
    TooLarge(String),
    /// A line is not what the test expects there.
    #[error("line {line} is malformed at column {column}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The name of a domain is none.
    #[error(transparent)]
    Word(#[from] WordError),
    /// There is nothing to measure.
    #[error("the data are empty")]
    Empty,
}

/// The text of a file.
///
/// # Errors
/// [`DataError`] if it cannot be read, is too large or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, DataError> {
    String::from_utf8(read_bytes(path)?).map_err(|_| DataError::Io {
        file: name(path),
        source: io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"),
    })
}

/// The bytes of a file.
///
/// # Errors
/// [`DataError`] if it cannot be read or is too large.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let opened = File::open(path);
    // One byte more than allowed tells a file that is too large.
    match opened.and_then(|f| f.take(MAX_BYTES + 1).read_to_end(&mut bytes)) {
        Err(source) => Err(DataError::Io { file: name(path), source }),
        Ok(_) if bytes.len() as u64 > MAX_BYTES => Err(DataError::TooLarge(name(path))),
        Ok(_) => Ok(bytes),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// One JSON value on each line; empty lines are skipped.
pub(crate) fn parse_lines<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>, DataError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parse = |(index, line): (usize, &str)| {
        // The parser's own message may quote the text.
        serde_json::from_str(line)
            .map_err(|error| DataError::Line { line: index + 1, column: error.column() })
    };
    let values = lines.map(parse).collect::<Result<Vec<T>, _>>()?;
    if values.is_empty() { Err(DataError::Empty) } else { Ok(values) }
}

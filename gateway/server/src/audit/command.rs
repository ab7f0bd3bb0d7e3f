//! `lethe-gateway audit verify`: checks files of the log, without a gateway.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use super::chain::{Link, Position};
use super::scan::{ScanError, scan};

/// Which files are to be checked, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCommand {
    /// The files; each continues the one before.
    pub files: Vec<PathBuf>,
    /// The hash of a record that must be among them.
    pub holds: Option<String>,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum AuditCommandError {
    /// A file is no log, or is broken.
    #[error("{}: {error}", path.display())]
    Scan {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ScanError,
    },
    /// Its last line was not written to its end, as a crash leaves it.
    #[error(
        "{}: line {line} is unfinished ({bytes} bytes) and all before it is good; a crash leaves \
         that, and a gateway takes it away when it starts",
        path.display()
    )]
    Torn {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// How much of it is there.
        bytes: u64,
    },
    /// A file does not continue the one before.
    #[error("{}: line 1: it does not continue the file before", path.display())]
    Apart {
        /// The file.
        path: PathBuf,
    },
    /// No file has the record that must be there.
    #[error("no record has the hash {0}")]
    Missing(String),
    /// The terminal is gone.
    #[error("the result cannot be written: {}", .0.kind())]
    Write(#[from] std::io::Error),
}

impl AuditCommand {
    /// Checks the files, and writes to `out` how many records they have and the last one's hash.
    ///
    /// # Errors
    /// [`AuditCommandError`] with the first fault.
    pub fn run(&self, out: &mut impl Write) -> Result<(), AuditCommandError> {
        let mut records = 0_u64;
        let mut last: Option<Position> = None;
        let mut held = self.holds.is_none();
        let sought = self.holds.as_deref().and_then(Link::parse);
        for path in &self.files {
            let end = check(path, last, |position| {
                records += 1;
                held |= Some(position.link) == sought;
            })?;
            last = end.or(last);
        }
        if let Some(missing) = self.holds.as_ref().filter(|_| !held) {
            return Err(AuditCommandError::Missing(missing.clone()));
        }
        let last = last.unwrap_or(Position::START);
        writeln!(out, "records\t{records}\nlast\t{}\t{}", last.sequence, last.link)?;
        Ok(())
    }
}

fn check(
    path: &Path,
    before: Option<Position>,
    mut visit: impl FnMut(Position),
) -> Result<Option<Position>, AuditCommandError> {
    let fault = |error| AuditCommandError::Scan { path: path.to_owned(), error };
    let file = File::open(path).map_err(|error| fault(error.into()))?;
    let mut lines = 0;
    let scan = scan(BufReader::new(file), |position| {
        lines += 1;
        visit(position);
    });
    let scan = scan.map_err(fault)?;
    if scan.end.is_some() && before.is_some_and(|before| before != scan.start) {
        return Err(AuditCommandError::Apart { path: path.to_owned() });
    }
    if scan.torn_bytes > 0 {
        let (line, bytes) = (lines + 1, scan.torn_bytes);
        return Err(AuditCommandError::Torn { path: path.to_owned(), line, bytes });
    }
    Ok(scan.end)
}

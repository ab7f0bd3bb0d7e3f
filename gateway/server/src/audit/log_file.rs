//! The file: opened where it ended, written at its end, and followed by the next one.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::chain::Position;
use super::event::Event;
use super::scan::{Scan, ScanError, scan};
use super::time;

/// What a file that is begun is called until it is whole.
const NEXT: &str = ".next";
/// The digits of a finished file's number.
const DIGITS: usize = 20;

/// Why the log cannot be written to.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The operating system's.
    #[error("the audit log cannot be opened: {}", .0.kind())]
    Open(#[source] io::Error),
    /// Another process has it.
    #[error("the audit log is written by another process; each gateway needs a file of its own")]
    Locked,
    /// It is broken, and by no crash.
    #[error("the audit log is broken: {0}; keep it, and name another file or move it away")]
    Broken(ScanError),
    /// The file that it continues is.
    #[error("the audit log's former file is broken: {0}; keep it, and move both away")]
    Former(ScanError),
    /// There can be no thread that writes.
    #[error("the audit log's thread cannot be started: {}", .0.kind())]
    Thread(#[source] io::Error),
}

/// A file that only we write to. Lines are kept in memory until they are on the disk, so that a
/// write or a sync that failed can be done again.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Of all lines, those in memory too.
    position: Position,
    /// How much of the file is on the disk for sure.
    synced_bytes: u64,
    /// The lines behind that.
    lines: Vec<u8>,
    /// How much of them is in the file.
    written: usize,
    /// From which length on the file is followed by another.
    rotate_at: u64,
    rotate_bytes: u64,
}

/// A record: what every event has beside what it says.
#[derive(Serialize)]
struct Record<'a> {
    seq: u64,
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

impl LogFile {
    /// Opens the file at `path`, or begins it. It is followed by another when it has
    /// `rotate_bytes`; 0 is never. Says how much of an unfinished line it has taken away.
    ///
    /// # Errors
    /// [`AuditError`]; the file is as it was then.
    pub(super) fn open(path: &Path, rotate_bytes: u64) -> Result<(Self, u64), AuditError> {
        let file = open(path, false).map_err(AuditError::Open)?;
        lock(&file)?;
        let scan = scan(BufReader::new(&file), |_| {}).map_err(AuditError::Broken)?;
        let former = if scan.end.is_none() { former(path)? } else { None };
        if scan.torn_bytes > 0 {
            file.set_len(scan.complete_bytes).map_err(AuditError::Open)?;
        }
        sync_folder(path).map_err(AuditError::Open)?;
        let mut log = Self {
            path: path.to_owned(),
            file,
            position: scan.end.or(former).unwrap_or(Position::START),
            synced_bytes: scan.complete_bytes,
            lines: Vec::new(),
            written: 0,
            rotate_at: rotate_bytes,
            rotate_bytes,
        };
        if scan.end.is_none() {
            log.begin();
        }
        Ok((log, scan.torn_bytes))
    }

    /// Writes to another file from here on, and gives the former one back.
    #[cfg(test)]
    pub(super) fn swap(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    fn begin(&mut self) {
        self.push(&Event::Opened { previous: self.position.link }, crate::clock::since_epoch());
    }

    /// Adds a record of what happened at `at` since 1970; says whether that could be written down.
    pub(super) fn push(&mut self, event: &Event, at: Duration) -> bool {
        let record = |seq| Record { seq, time: time(at), event };
        self.position.append(&mut self.lines, record).is_ok()
    }

    /// Where the last record leads.
    pub(super) const fn position(&self) -> Position {
        self.position
    }

    /// How much is not on the disk.
    pub(super) const fn unsynced_bytes(&self) -> usize {
        self.lines.len()
    }

    /// Hands all lines to the operating system, which keeps them if the process dies.
    ///
    /// # Errors
    /// The operating system's; it can be tried again.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let offset = self.synced_bytes + self.written as u64;
        self.file.write_all_at(&self.lines[self.written..], offset)?;
        self.written = self.lines.len();
        Ok(())
    }

    /// Has all that is written brought to the disk, which keeps it if the machine dies.
    ///
    /// # Errors
    /// The operating system's. What may not be there is written again the next time.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.written == 0 {
            return Ok(());
        }
        if let Err(error) = self.file.sync_data() {
            self.written = 0;
            return Err(error);
        }
        self.lines.drain(..self.written);
        self.synced_bytes += self.written as u64;
        self.written = 0;
        Ok(())
    }

    /// Goes on in a new file if this one, which is on the disk, is long enough.
    ///
    /// # Errors
    /// The operating system's; then it goes on in this one for as long again.
    pub(super) fn rotate_if_due(&mut self) -> io::Result<()> {
        let due = self.rotate_bytes > 0 && self.synced_bytes >= self.rotate_at;
        if !due || !self.lines.is_empty() {
            return Ok(());
        }
        self.rotate_at = self.synced_bytes.saturating_add(self.rotate_bytes);
        let next = beside(&self.path, NEXT);
        let file = open(&next, true)?;
        file.try_lock()?;
        let number = self.position.sequence;
        std::fs::rename(&self.path, beside(&self.path, &format!(".{number:0DIGITS$}")))?;
        std::fs::rename(&next, &self.path)?;
        sync_folder(&self.path)?;
        self.file = file;
        (self.synced_bytes, self.rotate_at) = (0, self.rotate_bytes);
        self.begin();
        self.write()
    }
}

/// Where the newest finished file beside `path` leads, if there is one.
fn former(path: &Path) -> Result<Option<Position>, AuditError> {
    let newest = finished(path).map_err(AuditError::Open)?.pop();
    let Some(newest) = newest else { return Ok(None) };
    let file = File::open(newest).map_err(AuditError::Open)?;
    let Scan { end, .. } = scan(BufReader::new(file), |_| {}).map_err(AuditError::Former)?;
    Ok(end)
}

/// The finished files beside `path`, the oldest first.
fn finished(path: &Path) -> io::Result<Vec<PathBuf>> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let is_finished = |other: &OsString| {
        let digits = other.as_encoded_bytes().strip_prefix(name);
        let digits = digits.and_then(|rest| rest.strip_prefix(b"."));
        digits.is_some_and(|rest| rest.len() == DIGITS && rest.iter().all(u8::is_ascii_digit))
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder(path))? {
        names.extend(Some(entry?.file_name()).filter(is_finished));
    }
    names.sort();
    Ok(names.into_iter().map(|name| path.with_file_name(name)).collect())
}

/// A file of its owner's only.
fn open(path: &Path, empty: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(empty).mode(0o600).open(path)
}

fn lock(file: &File) -> Result<(), AuditError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => AuditError::Locked,
        TryLockError::Error(error) => AuditError::Open(error),
    })
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name lasts only when the folder that holds it is on the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_millis(1_700_000_000_123);

    /// Opens, adds `events` to the file, and has them on the disk.
    fn add(path: &Path, rotate_bytes: u64, events: usize) -> (Position, u64) {
        let (mut log, cut) = LogFile::open(path, rotate_bytes).unwrap();
        for _ in 0..events {
            assert!(log.push(&Event::Gap { lost: 1 }, AT));
            log.write().unwrap();
            log.sync().unwrap();
            log.rotate_if_due().unwrap();
        }
        log.write().unwrap();
        log.sync().unwrap();
        (log.position(), cut)
    }

    fn check(path: &Path) -> Result<Scan, ScanError> {
        scan(BufReader::new(File::open(path).unwrap()), |_| {})
    }

    #[test]
    fn a_file_goes_on_where_it_ended_even_in_the_middle_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (first, cut) = add(&path, 0, 2);
        assert_eq!((first.sequence, cut), (3, 0));
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"{\"hash\":\"12"].concat()).unwrap();
        assert_eq!(check(&path).unwrap().torn_bytes, 11);
        let (second, cut) = add(&path, 0, 1);
        assert_eq!((second.sequence, cut), (4, 11));
        assert_eq!(check(&path).unwrap().end, Some(second));
        assert!(std::fs::read(&path).unwrap().starts_with(&whole));
        std::fs::write(&path, b"{").unwrap();
        assert_eq!(add(&path, 0, 0), (check(&path).unwrap().end.unwrap(), 1));
    }

    #[test]
    fn a_broken_file_is_refused_and_stays_as_it_is_and_so_is_one_that_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        add(&path, 0, 2);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[80] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = LogFile::open(&path, 0).unwrap_err();
        assert!(error.to_string().starts_with("the audit log is broken: line 1: "), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        let other = folder.path().join("other.jsonl");
        let (_log, _) = LogFile::open(&other, 0).unwrap();
        assert!(matches!(LogFile::open(&other, 0), Err(AuditError::Locked)));
        let none = LogFile::open(&folder.path().join("no/such.jsonl"), 0);
        assert!(matches!(none, Err(AuditError::Open(_))));
    }

    #[test]
    fn a_long_file_is_followed_by_one_that_continues_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (end, _) = add(&path, 600, 9);
        let mut files = finished(&path).unwrap();
        assert!(files.len() > 1, "{files:?}");
        files.push(path.clone());
        let mut before = Position::START;
        for file in &files {
            let scan = check(file).unwrap();
            assert_eq!(scan.start, before, "{file:?}");
            before = scan.end.unwrap();
        }
        assert_eq!(before, end);
        // A crash between the two renames.
        std::fs::remove_file(&path).unwrap();
        let newest = check(&files[files.len() - 2]).unwrap().end;
        add(&path, 600, 0);
        assert_eq!(Some(check(&path).unwrap().start), newest);
    }

    #[test]
    fn what_cannot_be_written_is_kept_and_written_once_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (mut log, _) = LogFile::open(&path, 0).unwrap();
        log.write().unwrap();
        log.sync().unwrap();
        let good = log.swap(File::open(&path).unwrap());
        log.push(&Event::Gap { lost: 1 }, AT);
        assert!(log.write().is_err());
        log.push(&Event::Gap { lost: 2 }, AT);
        assert!(log.write().is_err());
        log.swap(good);
        log.write().unwrap();
        // As after a sync that failed: the same bytes go to the same place.
        log.written = 0;
        log.write().unwrap();
        log.sync().unwrap();
        let scan = check(&path).unwrap();
        assert_eq!((scan.end, scan.torn_bytes), (Some(log.position()), 0));
    }
}

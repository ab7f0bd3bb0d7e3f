//! A model's sheets, kept in a file so that nothing is measured twice.

use std::io;
use std::path::Path;

use adapters::Digest;
use adapters::card::Word;
use serde::{Deserialize, Serialize};

use super::{DataError, Sheet, SheetError, Test, read_bytes};

/// Sheets of a model with or without adapters. The file has numbers and digests, and no text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SheetFile {
    #[serde(flatten)]
    examinee: Examinee,
    sheets: Vec<Sheet>,
}

/// Whose sheets they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Examinee {
    /// Digest of the model's weights.
    pub weights: String,
    /// How weights were held.
    pub precision: String,
    /// Digest and scale of each adapter, in canonical order.
    #[serde(default)]
    pub adapters: Vec<String>,
}

/// Why a file of sheets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SheetFileError {
    /// It cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// It is not JSON of this form.
    #[error("the sheets are malformed: {0}")]
    Format(#[from] serde_json::Error),
    /// A sheet in it is malformed.
    #[error(transparent)]
    Sheet(#[from] SheetError),
    /// They are another examinee's.
    #[error(
        "the sheets are those of another model, of other adapters, or of weights held otherwise"
    )]
    OtherExaminee,
    /// It cannot be written.
    #[error("the sheets cannot be written: {0}")]
    Write(#[source] io::Error),
}

impl SheetFile {
    /// No sheets yet.
    #[must_use]
    pub const fn new(examinee: Examinee) -> Self {
        Self { examinee, sheets: Vec::new() }
    }

    /// Reads the file at `path`, which must be of the same examinee as this one.
    ///
    /// # Errors
    /// [`SheetFileError`] if it cannot be used.
    pub fn read(self, path: &Path) -> Result<Self, SheetFileError> {
        let read: Self = serde_json::from_slice(&read_bytes(path)?)?;
        if read.examinee != self.examinee {
            return Err(SheetFileError::OtherExaminee);
        }
        read.sheets.iter().try_for_each(Sheet::check)?;
        Ok(read)
    }

    /// Writes the file at `path`, as a whole or not at all.
    ///
    /// # Errors
    /// [`SheetFileError::Write`].
    pub fn write(&self, path: &Path) -> Result<(), SheetFileError> {
        let part = path.with_extension("part");
        let written = std::fs::write(&part, serde_json::to_vec(self)?);
        written.and_then(|()| std::fs::rename(&part, path)).map_err(SheetFileError::Write)
    }

    /// The sheet of exactly these items.
    #[must_use]
    pub fn find(&self, test: Test, domain: &Word, key: Digest) -> Option<&Sheet> {
        self.sheets.iter().find(|s| (s.test, &s.domain, s.key) == (test, domain, key))
    }

    /// Adds sheets, in place of those of the same items.
    pub fn add(&mut self, sheets: Vec<Sheet>) {
        for sheet in sheets {
            let id = |s: &Sheet| (s.test, s.domain.clone(), s.key);
            self.sheets.retain(|other| id(other) != id(&sheet));
            self.sheets.push(sheet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        Sheet {
            test: Test::Unbiased,
            domain: Word::parse("hats").unwrap(),
            key: Digest::of(&[b"hats"]),
            groups: vec![0],
            rows: vec![vec![-1.25, 3.0]],
        }
    }

    fn examinee(adapters: &[&str]) -> Examinee {
        let adapters = adapters.iter().map(ToString::to_string).collect();
        Examinee { weights: "sha256:1".into(), precision: "f32".into(), adapters }
    }

    #[test]
    fn what_is_written_is_read_for_the_same_examinee_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheets.json");
        let mut file = SheetFile::new(examinee(&["sha256:2@1"]));
        file.add(vec![sheet(), sheet()]);
        assert_eq!(file.sheets.len(), 1);
        file.write(&path).unwrap();
        let read = SheetFile::new(examinee(&["sha256:2@1"])).read(&path).unwrap();
        assert_eq!(read, file);
        let sheet = sheet();
        assert!(read.find(sheet.test, &sheet.domain, sheet.key).is_some());
        assert!(read.find(sheet.test, &sheet.domain, Digest::of(&[b"caps"])).is_none());
        let served = Examinee { precision: "served".into(), ..examinee(&["sha256:2@1"]) };
        for other in [served, examinee(&["sha256:2@0.5"]), examinee(&[])] {
            let read = SheetFile::new(other).read(&path);
            assert!(matches!(read, Err(SheetFileError::OtherExaminee)));
        }
    }

    #[test]
    fn a_file_with_malformed_sheets_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheets.json");
        let mut file = SheetFile::new(examinee(&[]));
        file.add(vec![Sheet { rows: vec![vec![1.0]], ..sheet() }]);
        file.write(&path).unwrap();
        let read = SheetFile::new(examinee(&[])).read(&path);
        assert!(matches!(read, Err(SheetFileError::Sheet(_))));
        std::fs::write(&path, "{}").unwrap();
        assert!(SheetFile::new(examinee(&[])).read(&path).is_err());
    }
}

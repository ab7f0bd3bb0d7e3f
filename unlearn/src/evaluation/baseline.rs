//! The base's numbers, kept in a file so that a sweep computes them once.

use std::io;
use std::path::Path;

use adapters::Digest;
use adapters::card::Word;
use serde::{Deserialize, Serialize};

use super::{DataError, Sheet, SheetError, Test, read_bytes};

/// Sheets of a model without adapters. The file has numbers and digests, and no text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Digest of the model's weights.
    pub weights: String,
    /// How weights were held.
    pub precision: String,
    sheets: Vec<Sheet>,
}

/// Why a file of sheets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// It is not JSON of this form.
    #[error("the base's numbers are malformed: {0}")]
    Format(#[from] serde_json::Error),
    /// A sheet in it is malformed.
    #[error(transparent)]
    Sheet(#[from] SheetError),
    /// They are another model's.
    #[error("the base's numbers are those of other weights, or of weights held otherwise")]
    OtherModel,
    /// It cannot be written.
    #[error("the base's numbers cannot be written: {0}")]
    Write(#[source] io::Error),
}

impl Baseline {
    /// No sheets yet.
    #[must_use]
    pub fn new(weights: &str, precision: &str) -> Self {
        Self { weights: weights.to_owned(), precision: precision.to_owned(), sheets: Vec::new() }
    }

    /// Reads the file at `path`, which must be of the same model and precision as this one.
    ///
    /// # Errors
    /// [`BaselineError`] if it cannot be used.
    pub fn read(self, path: &Path) -> Result<Self, BaselineError> {
        let read: Self = serde_json::from_slice(&read_bytes(path)?)?;
        if (&read.weights, &read.precision) != (&self.weights, &self.precision) {
            return Err(BaselineError::OtherModel);
        }
        read.sheets.iter().try_for_each(Sheet::check)?;
        Ok(read)
    }

    /// Writes the file at `path`, as a whole or not at all.
    ///
    /// # Errors
    /// [`BaselineError::Write`].
    pub fn write(&self, path: &Path) -> Result<(), BaselineError> {
        let part = path.with_extension("part");
        let written = std::fs::write(&part, serde_json::to_vec(self)?);
        written.and_then(|()| std::fs::rename(&part, path)).map_err(BaselineError::Write)
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

    #[test]
    fn what_is_written_is_read_for_the_same_model_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base.json");
        let mut baseline = Baseline::new("sha256:1", "f32");
        baseline.add(vec![sheet(), sheet()]);
        assert_eq!(baseline.sheets.len(), 1);
        baseline.write(&path).unwrap();
        let read = Baseline::new("sha256:1", "f32").read(&path).unwrap();
        assert_eq!(read, baseline);
        let sheet = sheet();
        assert!(read.find(sheet.test, &sheet.domain, sheet.key).is_some());
        assert!(read.find(sheet.test, &sheet.domain, Digest::of(&[b"caps"])).is_none());
        for (weights, precision) in [("sha256:2", "f32"), ("sha256:1", "served")] {
            let read = Baseline::new(weights, precision).read(&path);
            assert!(matches!(read, Err(BaselineError::OtherModel)));
        }
    }

    #[test]
    fn a_file_with_malformed_sheets_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base.json");
        let mut baseline = Baseline::new("sha256:1", "f32");
        baseline.add(vec![Sheet { rows: vec![vec![1.0]], ..sheet() }]);
        baseline.write(&path).unwrap();
        let read = Baseline::new("sha256:1", "f32").read(&path);
        assert!(matches!(read, Err(BaselineError::Sheet(_))));
        std::fs::write(&path, "{}").unwrap();
        assert!(Baseline::new("sha256:1", "f32").read(&path).is_err());
    }
}

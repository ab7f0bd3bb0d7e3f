//! Röttger et al., "HateCheck: Functional Tests for Hate Speech Detection Models", 2021. For the
//! test only: nothing is trained or chosen on it.

use std::path::Path;

use serde::Deserialize;

use crate::corpus::table::{self, Encoding};
use crate::evaluation::DataError;

/// A case of the suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it tests, such as `negate_neg_nh`.
    pub functionality: String,
    /// The text.
    pub text: String,
    /// What a detector should say.
    pub hateful: bool,
    /// The group that is mentioned; empty if none is.
    pub group: String,
}

#[derive(Debug, Deserialize)]
struct Row {
    functionality: String,
    test_case: String,
    label_gold: String,
    target_ident: String,
}

/// All cases.
///
/// # Errors
/// [`DataError`] if the file is missing or malformed.
pub fn load_cases(folder: &Path) -> Result<Vec<Case>, DataError> {
    let path = folder.join("hatecheck/test_suite_cases.csv");
    let rows: Vec<Row> = table::rows(&path, Encoding::Utf8)?;
    let case = |row: Row| Case {
        functionality: row.functionality,
        text: row.test_case,
        hateful: row.label_gold == "hateful",
        group: row.target_ident,
    };
    Ok(rows.into_iter().map(case).collect())
}

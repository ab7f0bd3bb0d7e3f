//! Barikeri et al., "RedditBias: A Real-World Resource for Bias Evaluation and Debiasing of
//! Conversational Language Models", 2021 (<https://aclanthology.org/2021.acl-long.151>): comments
//! that mention a group, annotated with whether they are biased against it and by which words.
//!
//! The gender table numbers no rows and the orientation table repeats numbers, so that a comment's
//! part follows from its letters ([`Part`]).

use std::collections::HashSet;
use std::path::Path;

use adapters::Digest;
use serde::Deserialize;

use super::cleaning::cleaned;
use super::table::{self, Encoding};
use super::text::{collapsed, find_ignoring_case};
use super::{Domain, Part, Text, key};
use crate::evaluation::DataError;

/// Characters of a phrase that says too little.
const SHORT_PHRASE: usize = 3;

/// A row of a table.
#[derive(Debug, Deserialize)]
pub(crate) struct Comment {
    /// The comment, as it was collected.
    pub(crate) comment: String,
    /// The words around the group's name.
    phrase: String,
    bias_sent: String,
    bias_phrase: String,
}

impl Comment {
    /// Whether the comment is biased; `None` if nobody said so plainly.
    pub(crate) fn is_biased(&self) -> Option<bool> {
        plain(&self.bias_sent)
    }
}

/// An annotation that is 0 or 1; some are missing or prose.
fn plain(label: &str) -> Option<bool> {
    match label {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// The rows of a domain's table.
pub(crate) fn comments(data: &Path, domain: Domain) -> Result<Vec<Comment>, DataError> {
    let encoding = match domain {
        Domain::ReligionJews => Encoding::Latin1,
        Domain::Gender | Domain::Race | Domain::ReligionMuslims | Domain::Orientation => {
            Encoding::Utf8
        }
    };
    table::rows(&data.join(format!("redditbias/{domain}.csv")), encoding)
}

/// Comments that are biased against a domain's group, each with the phrase that is.
///
/// A comment is left out if its phrase is not found in it or is shorter than four characters, or if
/// it is a near copy of an earlier one.
///
/// # Errors
/// [`DataError`] if the table is missing or malformed.
pub fn biased(data: &Path, domain: Domain, part: Part) -> Result<Vec<Text>, DataError> {
    Ok(texts(data, domain)?.into_iter().filter(|row| row.is(true, part)).map(|r| r.text).collect())
}

/// Comments that mention a domain's group without bias; near copies of others are left out.
///
/// # Errors
/// [`DataError`] if the table is missing or malformed.
pub fn unbiased(data: &Path, domain: Domain, part: Part) -> Result<Vec<Text>, DataError> {
    Ok(texts(data, domain)?.into_iter().filter(|row| row.is(false, part)).map(|r| r.text).collect())
}

/// The digest of which comment of `domains` is in which part.
///
/// # Errors
/// [`DataError`] if a table is missing or malformed.
pub fn split_digest(data: &Path, domains: &[Domain]) -> Result<Digest, DataError> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for &domain in domains {
        for row in texts(data, domain)? {
            parts.push(domain.name().into());
            parts.push(row.part.name().into());
            parts.push(row.key.into());
        }
    }
    Ok(Digest::of(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()))
}

/// A comment that is annotated plainly.
struct Annotated {
    text: Text,
    /// What near copies of it have in common.
    key: [u8; 32],
    part: Part,
    biased: bool,
}

impl Annotated {
    fn is(&self, biased: bool, part: Part) -> bool {
        self.biased == biased && self.part == part
    }
}

/// The comments of a table that are annotated plainly, near copies dropped.
fn texts(data: &Path, domain: Domain) -> Result<Vec<Annotated>, DataError> {
    let mut seen = HashSet::new();
    let rows = comments(data, domain)?;
    let texts = rows.iter().filter_map(annotated);
    Ok(texts.filter(|row| seen.insert(row.key)).collect())
}

fn annotated(row: &Comment) -> Option<Annotated> {
    let text = collapsed(&row.comment);
    let (harmful, biased) = match (row.is_biased()?, plain(&row.bias_phrase)?) {
        (true, true) => (vec![phrase(&text, &row.phrase)?], true),
        (false, false) => (Vec::new(), false),
        // The phrase and the comment do not agree.
        (true, false) | (false, true) => return None,
    };
    let known_by = cleaned(&row.comment);
    let (key, part) = (key(&known_by), Part::of(&known_by));
    Some(Annotated { text: Text { text, harmful }, key, part, biased })
}

/// Where a comment has its phrase.
fn phrase(text: &str, phrase: &str) -> Option<std::ops::Range<usize>> {
    let phrase = collapsed(phrase);
    let long = phrase.chars().count() > SHORT_PHRASE;
    long.then(|| find_ignoring_case(text, &phrase)).flatten()
}

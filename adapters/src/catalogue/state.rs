//! The set of loaded adapters on disk, so that a restart finds it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::card::Schema;
use crate::replace::replace_file;
use crate::unique::Unique;
use crate::{AdapterName, Digest, NameError};

/// The file is ours and small; more than this was not written by us.
const MAX_BYTES: u64 = 4 << 20;

/// Where an adapter was loaded from, and what was found there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) source: String,
    pub(super) digest: Digest,
}

/// The entries in memory and, if a path is given, on disk.
#[derive(Debug)]
pub(super) struct State {
    path: Option<PathBuf>,
    entries: BTreeMap<AdapterName, Entry>,
    /// Shipped folders that were loaded once by themselves.
    offered: BTreeSet<String>,
}

/// Why the state cannot be read or written. No message holds a path.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system refused to read it.
    #[error("cannot read the adapter state: {0}")]
    Read(#[source] io::Error),
    /// The operating system refused to write it.
    #[error("cannot write the adapter state: {0}")]
    Write(#[source] io::Error),
    /// Larger than any state.
    #[error("the adapter state has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not the JSON that was written.
    #[error("the adapter state is damaged: {0}")]
    Format(#[from] serde_json::Error),
    /// An entry's name is no adapter's name.
    #[error("the adapter state is damaged: {0}")]
    Name(#[from] NameError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "schema")]
    _schema: Schema,
    adapters: Unique<Entry>,
    /// Not in states of programs that did not keep it.
    #[serde(default)]
    offered: BTreeSet<String>,
}

#[derive(Serialize)]
struct DocumentView<'a> {
    schema: Schema,
    adapters: &'a BTreeMap<AdapterName, Entry>,
    offered: &'a BTreeSet<String>,
}

impl State {
    /// The state at `path`; empty if nothing was written there yet.
    pub(super) fn open(path: Option<PathBuf>) -> Result<Self, StateError> {
        let bytes = path.as_deref().map(read).transpose()?.flatten();
        let (entries, offered) = bytes.as_deref().map(parse).transpose()?.unwrap_or_default();
        Ok(Self { path, entries, offered })
    }

    /// Whether a shipped folder was loaded by itself before.
    pub(super) fn was_offered(&self, folder: &str) -> bool {
        self.offered.contains(folder)
    }

    pub(super) const fn entries(&self) -> &BTreeMap<AdapterName, Entry> {
        &self.entries
    }

    /// Sets or removes (`None`) the entry of `name`. Nothing has changed if this fails.
    pub(super) fn record(
        &mut self,
        name: &AdapterName,
        entry: Option<Entry>,
    ) -> Result<(), StateError> {
        let mut entries = self.entries.clone();
        match entry {
            Some(entry) => entries.insert(name.clone(), entry),
            None => entries.remove(name),
        };
        self.write(&entries, &self.offered)?;
        self.entries = entries;
        Ok(())
    }

    /// Remembers that a shipped folder was loaded by itself. Nothing has changed if this fails.
    pub(super) fn offer(&mut self, folder: String) -> Result<(), StateError> {
        let mut offered = self.offered.clone();
        offered.insert(folder);
        self.write(&self.entries, &offered)?;
        self.offered = offered;
        Ok(())
    }

    fn write(
        &self,
        adapters: &BTreeMap<AdapterName, Entry>,
        offered: &BTreeSet<String>,
    ) -> Result<(), StateError> {
        let Some(path) = &self.path else { return Ok(()) };
        let json = serde_json::to_vec_pretty(&DocumentView { schema: Schema, adapters, offered })?;
        replace_file(path, &json).map_err(StateError::Write)
    }
}

type Saved = (BTreeMap<AdapterName, Entry>, BTreeSet<String>);

fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StateError::Read(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(StateError::Read)?;
    if bytes.len() as u64 > MAX_BYTES { Err(StateError::TooLarge) } else { Ok(Some(bytes)) }
}

fn parse(bytes: &[u8]) -> Result<Saved, StateError> {
    let document: Document = serde_json::from_slice(bytes)?;
    let Unique(members) = document.adapters;
    let entry = |(name, entry): (String, Entry)| Ok((AdapterName::parse(&name)?, entry));
    let entries = members.into_iter().map(entry).collect::<Result<_, StateError>>()?;
    Ok((entries, document.offered))
}

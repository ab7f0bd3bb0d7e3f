//! Weight files mapped into memory.

#![expect(unsafe_code, reason = "maps a file that another process could change, and lets pages go")]

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::{CheckpointError, io};

/// Maps a whole file for reading.
pub(crate) fn map(path: &Path) -> Result<Mmap, CheckpointError> {
    let file = File::open(path).map_err(io(path))?;
    // SAFETY: weight files are written beside their final name and renamed, and never changed in
    // place, by us. Whoever edits one under a running server gets wrong numbers or a bus error;
    // all structure is read and checked once, and copied out, at load.
    unsafe { Mmap::map(&file) }.map_err(io(path))
}

/// Lets the pages of a mapping go; what is read again comes from the file.
pub(super) fn release(map: &Mmap) {
    #[cfg(unix)]
    // SAFETY: the mapping is of a file and never written, so that no byte of it changes. A hint:
    // where it fails, the pages stay.
    let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
    #[cfg(not(unix))]
    let _ = map;
}

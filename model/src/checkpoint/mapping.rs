//! Weight files mapped into memory.

#![expect(unsafe_code, reason = "maps a file that another process could change")]

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::{CheckpointError, io};

/// Maps a whole file for reading.
pub(super) fn map(path: &Path) -> Result<Mmap, CheckpointError> {
    let file = File::open(path).map_err(io(path))?;
    // SAFETY: weight files are written beside their final name and renamed, and never changed in
    // place, by us. Whoever edits one under a running server gets wrong numbers or a bus error;
    // all structure is read and checked once, and copied out, at load.
    unsafe { Mmap::map(&file) }.map_err(io(path))
}

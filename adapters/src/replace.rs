//! Replaces a file so that a reader, or a crash, sees the old content or the new, never a part.

use std::fs::File;
use std::io::{Error, Result, Write};
use std::path::Path;

/// Writes `bytes` to a file beside `path`, forces it to the disk, and renames it to `path`: a reader,
/// or a crash, sees the old content or the new, never a part.
///
/// # Errors
/// The operating system's.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, 0o666)
}

/// The same with a file that nobody but its owner can read.
///
/// # Errors
/// If the new file cannot be written or renamed; the old one is as it was then.
pub fn replace_private_file(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, 0o600)
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    // The errors of the temporary file itself would name its path.
    let mut file = new_file_in(directory, mode).map_err(|error| Error::from(error.kind()))?;
    file.as_file_mut().write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The rename itself lasts only when the folder that holds the name is on the disk.
    File::open(directory)?.sync_all()
}

/// A new file with these permissions, less what the process takes away from any new file.
#[cfg(unix)]
fn new_file_in(directory: &Path, mode: u32) -> Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;

    let permissions = std::fs::Permissions::from_mode(mode);
    tempfile::Builder::new().permissions(permissions).tempfile_in(directory)
}

#[cfg(not(unix))]
fn new_file_in(directory: &Path, _: u32) -> Result<tempfile::NamedTempFile> {
    tempfile::NamedTempFile::new_in(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_content_replaces_the_old_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        for content in [b"old".as_slice(), b"new"] {
            replace_file(&path, content).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_its_owners_only_whatever_was_there() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        replace_file(&path, b"old").unwrap();
        replace_private_file(&path, b"new").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = replace_file(&folder.path().join("none/state.json"), b"").unwrap_err();
        assert_eq!(error.to_string(), "entity not found");
    }
}

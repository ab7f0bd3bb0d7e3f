//! The folder that an adapter is read from, and nothing outside it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// A folder whose files are read in full, within bounds, and only if they lie inside a boundary.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    boundary: PathBuf,
}

/// Why a folder or a file in it is not read. No message holds an absolute path.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The source is empty, absolute, climbs with `..`, or has control characters.
    #[error("an adapter's source is a relative path below the adapter root")]
    Source,
    /// A symbolic link leads out of the folder that adapters are read from.
    #[error("the adapter's files lie outside the adapter root")]
    Outside,
    /// There is no such folder.
    #[error("there is no such adapter folder")]
    Missing,
    /// A file is not there.
    #[error("the adapter folder has no {0}")]
    MissingFile(&'static str),
    /// The weights are pickled Python objects.
    #[error("the adapter has only pickled weights (adapter_model.bin), which are never read")]
    Pickle,
    /// A folder, a device or a pipe where a file should be.
    #[error("{0} is not a plain file")]
    NotAFile(&'static str),
    /// A file is larger than the limit.
    #[error("{file} has more than {limit} bytes")]
    TooLarge {
        /// The file's name.
        file: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The operating system refused.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file's name.
        file: &'static str,
        /// Its reason.
        #[source]
        source: io::Error,
    },
}

impl Folder {
    /// The canonical path of the folder that adapters are read from.
    pub(crate) fn root(path: &Path) -> Result<PathBuf, FolderError> {
        Ok(Self::open(path)?.path)
    }

    /// Names of the folders directly below `root` that have an entry called `file`, sorted.
    pub(crate) fn folders_with(root: &Path, file: &str) -> Result<Vec<String>, FolderError> {
        let read_error = |source| FolderError::Read { file: "the adapter root", source };
        let mut names = Vec::new();
        for entry in root.read_dir().map_err(read_error)? {
            let entry = entry.map_err(read_error)?;
            if entry.path().join(file).symlink_metadata().is_ok() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The folder at `path`, which is its own boundary.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        let path = resolve(path, "the adapter folder", || FolderError::Missing)?;
        Self::within(path.clone(), path)
    }

    /// The folder `source` below `root`; `root` is canonical, and the boundary.
    pub(crate) fn below(root: &Path, source: &str) -> Result<Self, FolderError> {
        let relative = Path::new(source);
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if source.is_empty() || source.len() > 1024 || source.contains(char::is_control) || !inside
        {
            return Err(FolderError::Source);
        }
        let path = resolve(&root.join(relative), "the adapter folder", || FolderError::Missing)?;
        Self::within(path, root.to_owned())
    }

    fn within(path: PathBuf, boundary: PathBuf) -> Result<Self, FolderError> {
        if !path.starts_with(&boundary) {
            return Err(FolderError::Outside);
        }
        if !path.is_dir() {
            return Err(FolderError::Missing);
        }
        Ok(Self { path, boundary })
    }

    /// Whether the folder has an entry called `file`.
    pub(crate) fn contains(&self, file: &str) -> bool {
        self.path.join(file).symlink_metadata().is_ok()
    }

    /// All bytes of `file`, at most `limit`. The size is checked before anything is read.
    pub(crate) fn read(&self, file: &'static str, limit: u64) -> Result<Vec<u8>, FolderError> {
        let read_error = |source| FolderError::Read { file, source };
        let path = resolve(&self.path.join(file), file, || FolderError::MissingFile(file))?;
        if !path.starts_with(&self.boundary) {
            return Err(FolderError::Outside);
        }
        // Opening a pipe would wait for its writer, so the kind is checked first.
        let metadata = path.metadata().map_err(read_error)?;
        if !metadata.is_file() {
            return Err(FolderError::NotAFile(file));
        }
        if metadata.len() > limit {
            return Err(FolderError::TooLarge { file, limit });
        }
        let mut bytes = Vec::new();
        let opened = File::open(&path).map_err(read_error)?;
        // One byte more than allowed tells a file that has grown since.
        opened.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(read_error)?;
        if bytes.len() as u64 > limit {
            return Err(FolderError::TooLarge { file, limit });
        }
        Ok(bytes)
    }
}

/// `path` without symbolic links.
fn resolve(
    path: &Path,
    file: &'static str,
    missing: impl Fn() -> FolderError,
) -> Result<PathBuf, FolderError> {
    path.canonicalize().map_err(|source| {
        if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            missing()
        } else {
            FolderError::Read { file, source }
        }
    })
}

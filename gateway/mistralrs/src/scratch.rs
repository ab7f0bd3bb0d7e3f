//! Where merged models lie while they are loaded.
//!
//! A folder is gone when its handle is dropped. What a process that was killed left behind goes
//! when the next one starts and no other uses the place.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A place for folders that nobody needs for long.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
    /// Shared by all processes that have folders here.
    _lock: File,
}

impl Scratch {
    /// Makes the place below `home`, and empties it unless another process uses it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn open(home: &Path) -> io::Result<Self> {
        let root = home.join("scratch");
        std::fs::create_dir_all(&root)?;
        let lock = File::create(home.join("scratch.lock"))?;
        match lock.try_lock() {
            Ok(()) => {
                empty(&root)?;
                lock.unlock()?;
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        lock.lock_shared()?;
        Ok(Self { root, _lock: lock })
    }

    /// A new, empty folder whose name begins with `name`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn folder(&self, name: &str) -> io::Result<TempDir> {
        tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(&self.root)
    }
}

fn empty(root: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(root)? {
        std::fs::remove_dir_all(entry?.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(home: &Path) -> usize {
        std::fs::read_dir(home.join("scratch")).expect("there").count()
    }

    #[test]
    fn folders_go_with_their_handles_and_leftovers_at_the_next_start() {
        let home = tempfile::tempdir().expect("a folder");
        let scratch = Scratch::open(home.path()).expect("opens");
        let folder = scratch.folder("a").expect("made");
        std::fs::write(folder.path().join("weights"), "w").expect("written");
        drop(folder);
        assert_eq!(names(home.path()), 0);

        // As if the process had been killed.
        let left = scratch.folder("b").expect("made").keep();
        // A second user leaves it alone while the first is there.
        let second = Scratch::open(home.path()).expect("opens");
        assert!(left.exists());
        drop((scratch, second));
        Scratch::open(home.path()).expect("opens");
        assert_eq!(names(home.path()), 0);
    }
}

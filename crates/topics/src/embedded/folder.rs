//! The log's folder: created so that it survives a power cut, and held by one process at a time.
//!
//! Held means an exclusive `flock` on a file in it. The kernel lets go of that when the process
//! ends, however it ends, so there is no stale lock; the text in the file only says who holds it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use trailgate_schemas::Micros;

use super::storage;
use crate::backbone::BackboneError;

/// A folder that this process holds.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Keeps the lock.
    _lock: File,
}

impl Folder {
    /// Creates the folder if it is missing, and takes hold of it.
    ///
    /// # Errors
    /// [`BackboneError::Held`] if another process holds it, [`BackboneError::Storage`] if it can't
    /// be made or written.
    pub(super) fn hold(path: &Path, now: Micros) -> Result<Self, BackboneError> {
        create_durably(path).map_err(|error| storage::io(&error))?;
        let mut lock = open(&path.join(LOCK_NAME)).map_err(|error| storage::io(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(path, &mut lock)),
            Err(TryLockError::Error(error)) => return Err(storage::io(&error)),
        }
        write_holder(&mut lock, now).map_err(|error| storage::io(&error))?;
        // Made before SQLite makes it, which gives its other files the same mode.
        open(&path.join(DATABASE_NAME)).map_err(|error| storage::io(&error))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The database in it.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE_NAME)
    }

    /// Makes the names in it durable.
    ///
    /// # Errors
    /// If it can't be synced.
    pub(super) fn sync(&self) -> Result<(), BackboneError> {
        sync(&self.path).map_err(|error| storage::io(&error))
    }
}

/// A file that only its owner reads, made if it is missing.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn write_holder(lock: &mut File, now: Micros) -> std::io::Result<()> {
    let since = Micros(now.0 - now.0.rem_euclid(1_000_000)).rfc3339();
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(format!("{} {since}\n", std::process::id()).as_bytes())
}

/// Who holds it, as far as that one has said so yet.
fn held(path: &Path, lock: &mut File) -> BackboneError {
    let mut text = String::new();
    let said = lock.read_to_string(&mut text).ok().and_then(|_| {
        let (pid, since) = text.trim_end().split_once(' ')?;
        Some((pid.parse().ok()?, since.to_owned()))
    });
    let (pid, since) = said.unwrap_or_else(|| (0, "just now".to_owned()));
    BackboneError::Held { folder: path.display().to_string(), pid, since }
}

/// A new folder is durable when the folder that it lies in is.
fn create_durably(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_durably(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    sync(parent)
}

fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

const LOCK_NAME: &str = "lock";
const DATABASE_NAME: &str = "log.sqlite";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_reads_what_is_in_it() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::hold(&parent.path().join("log"), Micros(0)).unwrap();
        let _db = storage::open_writer(&folder.database()).unwrap();
        let names = std::fs::read_dir(parent.path().join("log")).unwrap();
        let modes: Vec<u32> =
            names.map(|name| name.unwrap().metadata().unwrap().permissions().mode()).collect();
        assert_eq!(modes.len(), 4, "lock, database, write-ahead log and its index");
        assert!(modes.iter().all(|mode| mode & 0o077 == 0));
    }

    #[test]
    fn a_folder_is_held_by_one_and_free_when_that_one_is_gone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = Folder::hold(&path, Micros(0)).unwrap();
        let said = Folder::hold(&path, Micros(0)).unwrap_err();
        let folder = path.display().to_string();
        let since = "1970-01-01T00:00:00Z".to_owned();
        assert_eq!(said, BackboneError::Held { folder, pid: std::process::id(), since });
        drop(first);
        Folder::hold(&path, Micros(0)).unwrap();
    }
}

//! One key, one file: read only if nobody else can, written whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::folder::KeysError;
use crate::key::unhex;
use crate::limits::KEY_FILE_MAX_BYTES;

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Its owner alone.
    Owner,
    /// Anybody: it is public.
    Anybody,
}

/// The 32 bytes in a key file; none if there is no such file.
pub(super) fn read(path: &Path, readers: Readers) -> Result<Option<[u8; 32]>, KeysError> {
    let Some(text) = read_text(path, readers)? else { return Ok(None) };
    let mut bytes = [0; 32];
    unhex(text.trim_ascii(), &mut bytes).ok_or_else(|| KeysError::Form { path: path.into() })?;
    Ok(Some(bytes))
}

/// The text of a small file; none if there is no such file.
pub(super) fn read_text(
    path: &Path,
    readers: Readers,
) -> Result<Option<Zeroizing<String>>, KeysError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, &error)),
    };
    let metadata = file.metadata().map_err(|error| failed(path, &error))?;
    let mode = metadata.mode() & 0o777;
    if readers == Readers::Owner && mode & 0o077 != 0 {
        return Err(KeysError::Readable { path: path.into(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_MAX_BYTES as usize));
    let read = file.take(KEY_FILE_MAX_BYTES).read_to_string(&mut text);
    match read {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(KeysError::Form { path: path.into() })
        }
        Err(error) => Err(failed(path, &error)),
    }
}

/// Writes a file that is not there yet; false if it is.
pub(super) fn create(path: &Path, text: &str, readers: Readers) -> Result<bool, KeysError> {
    let draft = write_draft(path, text, readers)?;
    let linked = fs::hard_link(&draft, path);
    remove(&draft);
    match linked {
        Ok(()) => sync_folder(path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(path, &error)),
    }
}

/// Writes a file, in place of the one that may be there.
pub(super) fn replace(path: &Path, text: &str, readers: Readers) -> Result<(), KeysError> {
    let draft = write_draft(path, text, readers)?;
    if let Err(error) = fs::rename(&draft, path) {
        remove(&draft);
        return Err(failed(path, &error));
    }
    sync_folder(path)
}

/// Creates a folder of ours and those above it; one that is there stays as it is.
pub(super) fn create_folder(path: &Path) -> Result<(), KeysError> {
    let is_new = !path.exists();
    fs::create_dir_all(path).map_err(|error| failed(path, &error))?;
    if is_new {
        fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(|error| failed(path, &error))?;
        sync_folder(path)?;
    }
    Ok(())
}

/// The names of the files in a folder that end in `.suffix`, without that; empty if there is no
/// such folder.
pub(super) fn stems(folder: &Path, suffix: &str, max: usize) -> Result<Vec<String>, KeysError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(folder, &error)),
    };
    let mut stems = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| failed(folder, &error))?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(suffix)?.strip_suffix('.'));
        // Drafts of an interrupted write begin with a dot.
        stems.extend(stem.filter(|stem| !stem.starts_with('.')).map(ToOwned::to_owned));
        if stems.len() > max {
            return Err(KeysError::TooMany { path: folder.into(), max });
        }
    }
    stems.sort_unstable();
    Ok(stems)
}

fn write_draft(path: &Path, text: &str, readers: Readers) -> Result<PathBuf, KeysError> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::Anybody => 0o644,
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
    remove(&draft);
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(draft),
        Err(error) => {
            remove(&draft);
            Err(failed(path, &error))
        }
    }
}

/// A draft that can't be removed is never read: its name begins with a dot.
fn remove(draft: &Path) {
    let _ = fs::remove_file(draft);
}

fn sync_folder(path: &Path) -> Result<(), KeysError> {
    let Some(folder) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| failed(folder, &error))
}

pub(super) fn failed(path: &Path, error: &io::Error) -> KeysError {
    KeysError::Io { path: path.into(), kind: error.kind() }
}

//! Files that others must not read.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;

/// Writes `bytes` to `file` so that only its owner reads it, whole or not at all: beside it first,
/// then renamed.
///
/// # Errors
/// If the folder can't be written to.
pub(crate) fn write_private(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let beside = file.with_extension("new");
    let said = || format!("{}", file.display());
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    let mut handle = options.open(&beside).with_context(said)?;
    handle.write_all(bytes).with_context(said)?;
    handle.sync_all().with_context(said)?;
    std::fs::rename(&beside, file).with_context(said)
}

//! Where a planted secret must not be.

use std::path::{Path, PathBuf};

use trailgate_testkit::Planted;

/// A place where a planted secret was found, and in which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The file.
    pub file: PathBuf,
    /// In which encoding.
    pub form: &'static str,
}

/// Every file among or below `places` that holds `secret` in any form. Columns of a Parquet file are
/// compressed: what they hold is looked for by SQL.
#[must_use]
pub fn leaks<P: AsRef<Path>>(secret: &Planted, places: &[P]) -> Vec<Leak> {
    let files = places.iter().flat_map(|place| files_below(place.as_ref()));
    files
        .filter_map(|file| {
            let form = secret.found_in(&std::fs::read(&file).unwrap_or_default())?;
            Some(Leak { file, form })
        })
        .collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    // A file may go while others are read: compaction, a rolled log.
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_a_folder_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let secret = Planted::github_token();
        std::fs::write(inner.join("log"), format!("x {} y", secret.clear())).unwrap();
        assert_eq!(leaks(&secret, &[folder.path()]).len(), 1);
        assert_eq!(leaks(&Planted::github_token(), &[folder.path()]), []);
    }
}

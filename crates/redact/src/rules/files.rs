//! People's own rules as they lie in files.

use std::path::{Path, PathBuf};

use super::{RulesError, Source};

/// The texts of rule files. Equal texts of equal names make equal rules, so whoever watches the files
/// knows whether there is anything to load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFiles(Vec<Source>);

impl RuleFiles {
    /// Reads files, and of folders those files that end in `.toml`, by name.
    ///
    /// # Errors
    /// [`RulesError::Read`] says which can't be read.
    pub fn read(paths: &[PathBuf]) -> Result<Self, RulesError> {
        let mut sources = Vec::new();
        for path in paths {
            for file in files_at(path)? {
                let text = std::fs::read_to_string(&file).map_err(|error| wrong(&file, &error))?;
                let file = file.display().to_string();
                sources.push(Source { file, text, is_builtin: false });
            }
        }
        Ok(Self(sources))
    }

    pub(super) fn sources(&self) -> &[Source] {
        &self.0
    }
}

fn files_at(path: &Path) -> Result<Vec<PathBuf>, RulesError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| wrong(path, &error))? {
        let file = entry.map_err(|error| wrong(path, &error))?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn wrong(path: &Path, error: &std::io::Error) -> RulesError {
    RulesError::Read { file: path.display().to_string(), why: error.to_string() }
}

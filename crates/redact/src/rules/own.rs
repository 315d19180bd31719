//! People's own rules, which may change while they count.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::{RuleFiles, Rules, RulesError};

/// The rules of a process: the built-in ones and those in files, taken anew when somebody looks.
///
/// Files that are wrong stop the start. Later the rules that were there stay, which mask no less than
/// they did, and what is wrong is told once.
#[derive(Debug)]
pub struct OwnRules {
    paths: Vec<PathBuf>,
    off: Vec<String>,
    seen: Mutex<Result<RuleFiles, RulesError>>,
    current: RwLock<Arc<Rules>>,
}

impl OwnRules {
    /// The built-in rules but those `off`, and the rules in `paths` beside them, as
    /// [`Rules::load`] has them.
    ///
    /// # Errors
    /// [`RulesError`] says what is wrong and in which line of which file.
    pub fn load(paths: &[PathBuf], off: &[String]) -> Result<Self, RulesError> {
        let files = RuleFiles::read(paths)?;
        let rules = if paths.is_empty() && off.is_empty() {
            Rules::builtin()
        } else {
            Arc::new(Rules::with(&files, off)?)
        };
        Ok(Self {
            paths: paths.to_vec(),
            off: off.to_vec(),
            seen: Mutex::new(Ok(files)),
            current: RwLock::new(rules),
        })
    }

    /// The rules that count now.
    #[must_use]
    pub fn current(&self) -> Arc<Rules> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there are files that may change.
    #[must_use]
    pub fn may_change(&self) -> bool {
        !self.paths.is_empty()
    }

    /// Reads the files again: the version of rules that are new, or why new files are none. Reads
    /// files and compiles, so it is not for a runtime's own threads.
    #[must_use]
    pub fn look(&self) -> Option<Result<String, RulesError>> {
        let files = RuleFiles::read(&self.paths);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if files == *seen {
            return None;
        }
        seen.clone_from(&files);
        Some(files.and_then(|files| {
            let rules = Rules::with(&files, &self.off)?;
            let version = rules.version().to_owned();
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
            Ok(version)
        }))
    }
}

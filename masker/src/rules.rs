//! Which rules mask: the built-in ones and people's own, taken anew when their files change.
//!
//! Files that are wrong stop the start. Later the rules that were there stay, which mask no less than
//! they did, and what is wrong is said once.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use trailgate_redact::{RuleFiles, Rules, RulesError};

use crate::config::MaskerConfig;
use crate::limits::RULES_LOOK_EVERY;
use crate::metrics::Counts;

/// Where the rules lie.
pub(crate) struct OwnRules {
    paths: Vec<PathBuf>,
    off: Vec<String>,
    seen: Result<RuleFiles, RulesError>,
    rules: watch::Sender<Arc<Rules>>,
}

impl OwnRules {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// [`RulesError`] says what is wrong and in which line of which file.
    pub(crate) fn load(config: &MaskerConfig) -> Result<Self, RulesError> {
        let (paths, off) = (config.rules.clone(), config.rules_off.clone());
        let files = RuleFiles::read(&paths)?;
        let rules = if paths.is_empty() && off.is_empty() {
            Rules::builtin()
        } else {
            Arc::new(Rules::with(&files, &off)?)
        };
        Ok(Self { paths, off, seen: Ok(files), rules: watch::Sender::new(rules) })
    }

    /// The rules that count now, and those that will.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Rules>> {
        self.rules.subscribe()
    }

    /// Looks after the files for ever.
    pub(crate) async fn watch(mut self, counts: Counts) {
        if self.paths.is_empty() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(RULES_LOOK_EVERY).await;
            let looked = tokio::task::spawn_blocking(move || {
                let changed = self.look();
                (self, changed)
            });
            // It panics with the look alone, which is a mistake of ours: the rules there are stay.
            let Ok((next, changed)) = looked.await else { return std::future::pending().await };
            self = next;
            match changed {
                None => {}
                Some(Ok(version)) => {
                    counts.rules_taken.inc();
                    tracing::info!(version, "rules taken anew");
                }
                Some(Err(error)) => {
                    counts.rules_refused.inc();
                    tracing::error!(%error, "rules not taken: those that were there stay");
                }
            }
        }
    }

    /// The version of rules that are new, or why new files are none.
    pub(crate) fn look(&mut self) -> Option<Result<String, RulesError>> {
        let files = RuleFiles::read(&self.paths);
        if files == self.seen {
            return None;
        }
        self.seen.clone_from(&files);
        Some(files.and_then(|files| {
            let rules = Rules::with(&files, &self.off)?;
            let version = rules.version().to_owned();
            self.rules.send_replace(Arc::new(rules));
            Ok(version)
        }))
    }
}

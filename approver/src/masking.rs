//! Masking of what is told of those who vote and why: by the masker's rules, and as they are now.

use std::sync::Arc;

use trailgate_redact::{OwnRules, Redactor, TokenKey};

use crate::limits::RULES_LOOK_EVERY;

/// Rules that may change, and the key of tokens.
pub(crate) struct Masking {
    own: Arc<OwnRules>,
    key: TokenKey,
}

impl Masking {
    pub(crate) fn new(own: Arc<OwnRules>, key: TokenKey) -> Self {
        Self { own, key }
    }

    /// What masks now.
    pub(crate) fn redactor(&self) -> Redactor {
        Redactor::new(self.own.current(), self.key.clone())
    }
}

/// Takes rules anew when their files change.
pub(crate) async fn look_after(own: Arc<OwnRules>) {
    while own.may_change() {
        tokio::time::sleep(RULES_LOOK_EVERY).await;
        let looked = Arc::clone(&own);
        match tokio::task::spawn_blocking(move || looked.look()).await {
            Ok(Some(Ok(version))) => tracing::info!(version, "rules taken anew"),
            Ok(Some(Err(error))) => {
                tracing::error!(%error, "rules not taken: those that were there stay");
            }
            Ok(None) | Err(_) => {}
        }
    }
}

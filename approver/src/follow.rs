//! Following `audit.approvals` into what the API shows.

use std::sync::Arc;

use trailgate_service::{Part, Stop};
use trailgate_topics::{Backbone, BackboneError, Topic};

use crate::limits::{RETRY_AFTER, TAIL_WAIT};
use crate::metrics::Counts;
use crate::shown::Shown;

/// Follows the topic until it is asked to stop.
pub(crate) struct Follower {
    pub(crate) backbone: Arc<dyn Backbone>,
    pub(crate) shown: Shown,
    pub(crate) counts: Counts,
    pub(crate) part: Part,
}

impl Follower {
    /// Follows until `stop`. What fails is tried again, and said once.
    ///
    /// # Errors
    /// If the backbone refuses: a person must act.
    pub(crate) async fn run(self, stop: Stop) -> Result<(), BackboneError> {
        tokio::select! {
            () = stop.asked() => Ok(()),
            refused = self.follow() => Err(refused),
        }
    }

    async fn follow(&self) -> BackboneError {
        loop {
            let ended = self.follow_once().await;
            if ended.is_refusal() {
                return ended;
            }
            self.part.waits("approvals_not_read", &ended);
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    /// From the topic's beginning, until records went away that were not read.
    async fn follow_once(&self) -> BackboneError {
        let mut tail = match self.backbone.tail(Topic::Approvals, &[]).await {
            Ok(tail) => tail,
            Err(error) => return error,
        };
        self.shown.clear();
        loop {
            let batch = match tail.next(TAIL_WAIT).await {
                Ok(batch) => batch,
                // They are shown as they were.
                Err(error) if error.is_transient() => {
                    self.part.waits("backbone_unreachable", &error);
                    tokio::time::sleep(RETRY_AFTER).await;
                    continue;
                }
                Err(error) => return error,
            };
            for record in &batch.records {
                if !self.shown.apply(&record.key, record.value.as_deref()) {
                    self.counts.refused("approval_undecodable");
                }
            }
            if !self.shown.is_read() && batch.ends.iter().all(|end| end.caught_up_at.is_some()) {
                self.shown.set_read();
            }
            if self.shown.is_read() {
                self.part.ready();
            }
        }
    }
}

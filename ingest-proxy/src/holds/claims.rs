//! What became of a claim, told to the approver on `audit.claims`: that it was used and how that came
//! out, or that whoever asked has gone.

use std::sync::Arc;

use bytes::Bytes;
use trailgate_schemas::{Claim, ClaimEnd, ClaimId, HoldId};
use trailgate_topics::{AppendError, Topic};

use crate::gateway::Gateway;
use crate::holds::Holds;
use crate::limits::{CLOSE_RETRY_WAIT, CLOSE_TRIES};

impl Holds {
    /// Tells how a claim ended, in a task of its own that outlives the request. One that can't be
    /// told is a hold that expires: nothing more happens by it either way.
    pub(crate) fn tell(
        self: &Arc<Self>,
        gateway: &Arc<Gateway>,
        (hold_id, claim): (HoldId, ClaimId),
        end: ClaimEnd,
    ) {
        gateway.metrics.claim(end);
        let claim = Claim { hold_id, claim, end, ended_at: gateway.clock.now() };
        let Ok(value) = serde_json::to_vec(&claim).map(Bytes::from) else { return };
        let Ok(place) = Arc::clone(&self.telling).try_acquire_owned() else {
            gateway.metrics.failed("too_many_claims");
            return;
        };
        let (holds, telling) = (Arc::clone(self), Arc::clone(gateway));
        gateway.spawn(async move {
            let mut wait = CLOSE_RETRY_WAIT;
            for _ in 0..CLOSE_TRIES {
                match holds.append(Topic::Claims, hold_id, value.clone()).await {
                    Ok(_) => return,
                    Err(AppendError::TooLong | AppendError::Closed | AppendError::Forbidden) => {
                        break;
                    }
                    // Told twice it says the same, so one that may have been written is told again.
                    Err(AppendError::Full | AppendError::TimedOut | AppendError::Failed) => {
                        tokio::time::sleep(wait).await;
                        wait *= 2;
                    }
                }
            }
            telling.metrics.failed("claim_untold");
            drop(place);
        });
    }
}

//! Requests that wait for a decision, each by its hold, and what a decision must be to reach one.
//!
//! A decision that does not fit leaves its waiter where it is: whoever can append to a topic can't
//! make a request fail, let alone pass. One that fits takes the waiter out, so there is no second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use trailgate_schemas::{ClaimId, HoldDecision, HoldId, HoldState, Micros};

/// What a decision must be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) hold: HoldId,
    pub(crate) claim: ClaimId,
    pub(crate) digest: String,
    pub(crate) expires_at: Micros,
}

/// The requests that wait on this gateway. As many as have a [`super::Seat`].
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<HashMap<HoldId, Waiter>>);

#[derive(Debug)]
struct Waiter {
    bound: Bound,
    decided: oneshot::Sender<HoldDecision>,
}

/// A request that waits; letting it go takes it out.
#[derive(Debug)]
pub(crate) struct Waiting {
    hold: HoldId,
    decided: oneshot::Receiver<HoldDecision>,
    waiters: Arc<Waiters>,
}

/// Why a decision reached nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreached {
    /// Nobody waits for it here: another gateway's, or used already.
    NobodyWaits,
    /// It is about another claim or digest than its hold's.
    Differs,
    /// It came when it could not be used any more.
    Late,
    /// It says nothing final: an approver's mistake.
    Open,
}

impl Waiters {
    /// Waits for the decision about `bound`.
    pub(crate) fn wait(self: &Arc<Self>, bound: Bound) -> Waiting {
        let (sender, decided) = oneshot::channel();
        let hold = bound.hold;
        let waiter = Waiter { bound, decided: sender };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(hold, waiter);
        Waiting { hold, decided, waiters: Arc::clone(self) }
    }

    /// Takes a decision whose signature holds to who waits for it.
    pub(crate) fn reach(&self, decision: HoldDecision, now: Micros) -> Result<(), Unreached> {
        let mut waiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiter) = waiters.get(&decision.hold_id) else {
            return Err(Unreached::NobodyWaits);
        };
        waiter.bound.fits(&decision, now)?;
        let Some(waiter) = waiters.remove(&decision.hold_id) else {
            return Err(Unreached::NobodyWaits);
        };
        // Who has stopped listening in this very moment says so to the approver.
        waiter.decided.send(decision).map_err(|_| Unreached::NobodyWaits)
    }
}

impl Bound {
    /// Whether a decision is about this, and can still be used.
    pub(crate) fn fits(&self, decision: &HoldDecision, now: Micros) -> Result<(), Unreached> {
        let HoldDecision { hold_id, claim, digest, state, expires_at, .. } = decision;
        // Who asked is in the digest. The decision's own name of it is for people, and may be masked.
        let is_ours = *hold_id == self.hold && *claim == self.claim && *digest == self.digest;
        if !is_ours {
            return Err(Unreached::Differs);
        }
        match state {
            HoldState::Denied | HoldState::Expired => Ok(()),
            HoldState::Approved if now < *expires_at && now < self.expires_at => Ok(()),
            HoldState::Approved => Err(Unreached::Late),
            HoldState::Pending
            | HoldState::Withdrawn
            | HoldState::Executed
            | HoldState::Failed
            | HoldState::Unknown => Err(Unreached::Open),
        }
    }
}

impl Waiting {
    /// The decision; pending for as long as there is none. May be dropped and called again.
    pub(crate) async fn decided(&mut self) -> HoldDecision {
        match (&mut self.decided).await {
            Ok(decision) => decision,
            // The sender goes only with a decision, or with this.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waiters.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.hold);
    }
}

impl Unreached {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::NobodyWaits => "nobody_waits",
            Self::Differs => "differs",
            Self::Late => "late",
            Self::Open => "open",
        }
    }
}

#[cfg(test)]
mod tests {
    use trailgate_schemas::Principal;
    use uuid::Uuid;

    use super::*;

    fn bound() -> Bound {
        Bound {
            hold: HoldId(Uuid::from_u128(1)),
            claim: ClaimId(Uuid::from_u128(2)),
            digest: "ab".repeat(32),
            expires_at: Micros(100),
        }
    }

    fn decision(state: HoldState) -> HoldDecision {
        let Bound { hold, claim, digest, expires_at } = bound();
        // As the masker named who asked.
        let requester =
            Principal { issuer: "i".to_owned(), subject: "[email:1f0c9a77]".to_owned() };
        HoldDecision {
            hold_id: hold,
            claim,
            digest,
            requester,
            state,
            decided_by: None,
            reason: None,
            decided_at: Micros(5),
            expires_at,
        }
    }

    #[tokio::test]
    async fn a_decision_reaches_who_waits_once() {
        let waiters = Arc::new(Waiters::default());
        let mut waiting = waiters.wait(bound());
        assert_eq!(waiters.reach(decision(HoldState::Approved), Micros(99)), Ok(()));
        let second = waiters.reach(decision(HoldState::Approved), Micros(99));
        assert_eq!(second, Err(Unreached::NobodyWaits));
        assert_eq!(waiting.decided().await.state, HoldState::Approved);
    }

    #[tokio::test]
    async fn what_is_about_something_else_reaches_nobody_and_takes_nobody_out() {
        type Change = fn(&mut HoldDecision);
        let changes: [(Change, Unreached); 5] = [
            (|decision| decision.hold_id = HoldId(Uuid::from_u128(9)), Unreached::NobodyWaits),
            (|decision| decision.claim = ClaimId(Uuid::from_u128(9)), Unreached::Differs),
            (|decision| decision.digest.replace_range(0..1, "0"), Unreached::Differs),
            (|decision| decision.expires_at = Micros(50), Unreached::Late),
            (|decision| decision.state = HoldState::Executed, Unreached::Open),
        ];
        let waiters = Arc::new(Waiters::default());
        let mut waiting = waiters.wait(bound());
        for (n, (change, expected)) in changes.into_iter().enumerate() {
            let mut decision = decision(HoldState::Approved);
            change(&mut decision);
            assert_eq!(waiters.reach(decision, Micros(50)), Err(expected), "change {n}");
        }
        let late = waiters.reach(decision(HoldState::Approved), Micros(100));
        assert_eq!(late, Err(Unreached::Late), "the moment of expiry is too late");
        assert_eq!(waiters.reach(decision(HoldState::Denied), Micros(200)), Ok(()));
        assert_eq!(waiting.decided().await.state, HoldState::Denied);
    }

    #[test]
    fn who_has_gone_is_waited_for_by_nobody() {
        let waiters = Arc::new(Waiters::default());
        drop(waiters.wait(bound()));
        let reached = waiters.reach(decision(HoldState::Approved), Micros(1));
        assert_eq!(reached, Err(Unreached::NobodyWaits));
        assert!(waiters.0.lock().unwrap().is_empty());
    }
}

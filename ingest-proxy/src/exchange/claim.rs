//! The claim of an exchange that is held: the right to use one decision once. It ends in one way,
//! which is told to the approver and recorded in the exchange's own stream, whatever becomes of the
//! request.

use std::sync::Arc;

use http::StatusCode;
use trailgate_schemas::{ClaimEnd, ClaimId, Decision, HoldId, Kind, Outcome};

use crate::holds::{Bound, Holds};
use crate::journal::{Journal, Pending};

/// A claim that has not ended.
#[derive(Debug)]
pub(crate) struct OpenClaim {
    holds: Arc<Holds>,
    hold: HoldId,
    claim: ClaimId,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody has decided.
    Waiting,
    /// The decision was used: the request is on its way.
    Used,
}

impl OpenClaim {
    /// A claim on the decision about `bound`.
    pub(crate) fn new(holds: Arc<Holds>, bound: &Bound, journal: &Journal) -> Self {
        journal.gateway().metrics.held.inc();
        Self { holds, hold: bound.hold, claim: bound.claim, stage: Stage::Waiting }
    }

    /// The decision is used: from here on the request may have an effect.
    pub(crate) fn used(&mut self, journal: &Journal) {
        self.stopped_waiting(journal);
        self.stage = Stage::Used;
    }

    /// It was decided against, or its time is over: the approver knows.
    pub(crate) fn settled(mut self, journal: &Journal) {
        self.stopped_waiting(journal);
    }

    /// It is given up as late. If it was approved meanwhile the approver learns that nothing came of
    /// it; if not, it sees by itself that the time is over.
    pub(crate) fn given_up(mut self, journal: &Journal) {
        self.stopped_waiting(journal);
        self.holds.tell(journal.gateway(), (self.hold, self.claim), ClaimEnd::Failed);
    }

    /// The upstream has answered: the event that says so.
    pub(crate) fn answered(self, journal: &Journal, status: StatusCode) -> Option<Pending> {
        let outcome = if status.as_u16() < 400 { Outcome::Succeeded } else { Outcome::Failed };
        self.end(journal, ClaimEnd::Executed, (outcome, Some(status)))
    }

    /// Whoever asked goes away, or the exchange fails: with `outcome`, if the decision was used.
    pub(crate) fn fail(mut self, journal: &Journal, outcome: Outcome, reason: &str) {
        if self.stage == Stage::Waiting {
            self.stopped_waiting(journal);
            self.holds.tell(journal.gateway(), (self.hold, self.claim), ClaimEnd::Withdrawn);
            let mut event = journal.event(Kind::Withdrawn, Outcome::Failed);
            event.decision = Some(Decision::Hold);
            event.hold_claim = Some(self.claim);
            event.reason = Some(reason.to_owned());
            journal.close_behind(event);
            return;
        }
        let end = if outcome == Outcome::Unknown { ClaimEnd::Unknown } else { ClaimEnd::Failed };
        let outcome = if outcome == Outcome::Unknown { Outcome::Unknown } else { Outcome::Failed };
        if let Some(pending) = self.end(journal, end, (outcome, None)) {
            let gateway = Arc::clone(journal.gateway());
            journal.gateway().spawn(async move {
                // The closing record behind it says the same of the exchange.
                let _ = pending.settled(&gateway).await;
            });
        }
    }

    fn end(
        self,
        journal: &Journal,
        end: ClaimEnd,
        (outcome, status): (Outcome, Option<StatusCode>),
    ) -> Option<Pending> {
        self.holds.tell(journal.gateway(), (self.hold, self.claim), end);
        let mut event = journal.allowed(Kind::Executed, outcome);
        event.hold_claim = Some(self.claim);
        event.status = status.map(|status| i32::from(status.as_u16()));
        journal.write(event).ok()
    }

    fn stopped_waiting(&mut self, journal: &Journal) {
        if self.stage == Stage::Waiting {
            journal.gateway().metrics.held.dec();
        }
    }
}

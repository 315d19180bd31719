//! Where a held operation stands, and what may follow: a state machine without I/O. Each transition
//! consumes where it stood, so what is final can't be left and nothing is decided twice.
//!
//! ```text
//! pending ──► approved ──► executed | failed | unknown | withdrawn
//!    └──────► denied | expired | withdrawn | failed
//! ```
//! An approval that is not used in time is not called expired here: a gateway that used it at the
//! last moment tells of it only when the operation has ended. The gateway refuses late uses and says
//! so; if it never says anything, how it ended is unknown.

use trailgate_schemas::{
    Approval, Claim, ClaimEnd, Hold, HoldDecision, HoldState, Micros, Verdict, Vote,
};

use crate::limits::UNTOLD_MAX;
use crate::objection::is_requester;

/// Where a held operation stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Standing {
    Pending(Pending),
    Approved(Approved),
    Ended(Ended),
}

/// Nobody has decided.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pending {
    hold: Box<Hold>,
}

/// It may be used, once, or is being used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Approved {
    hold: Box<Hold>,
    decision: Box<HoldDecision>,
}

/// Nothing follows. What was held is on `audit.approvals`, not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) state: HoldState,
    pub(crate) since: Micros,
}

/// Where it stands now, and whether that is new.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) standing: Standing,
    pub(crate) told: Told,
}

/// What a transition has to tell.
#[derive(Debug)]
pub(crate) enum Told {
    /// Nothing has changed, for this reason.
    Ignored(Ignored),
    /// It waits for a decision.
    Opened(Box<Approval>),
    /// It is decided: [`Approval::decision`] is new.
    Decided(Box<Approval>),
    /// It has ended by a claim, or by silence.
    Closed(Box<Approval>),
}

/// Why a vote, a claim or a moment changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ignored {
    /// It is decided, or over.
    Late,
    /// Its time is over.
    Expired,
    /// The voter is who asked.
    OwnVote,
    /// The voter is in no group that may decide.
    NotReviewer,
    /// The voter was shown something else.
    OtherDigest,
    /// The claim is another one's.
    OtherClaim,
    /// It was not approved, so it can't have been used.
    NotApproved,
    /// Nothing is due.
    NotDue,
}

impl Ignored {
    /// A stable word for metrics.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Late => "already_decided",
            Self::Expired => "expired",
            Self::OwnVote => "own_request",
            Self::NotReviewer => "not_a_reviewer",
            Self::OtherDigest => "digest_differs",
            Self::OtherClaim => "claim_differs",
            Self::NotApproved => "not_approved",
            Self::NotDue => "not_due",
        }
    }
}

impl Standing {
    /// A hold that has just come.
    pub(crate) fn open(hold: Hold, now: Micros) -> Turn {
        let approval =
            Approval { hold, state: HoldState::Pending, decision: None, changed_at: now };
        let pending = Pending { hold: Box::new(approval.hold.clone()) };
        Turn { standing: Self::Pending(pending), told: Told::Opened(Box::new(approval)) }
    }

    /// A hold that has come and that nobody may be asked about: there are too many.
    pub(crate) fn refuse(hold: Hold, now: Micros) -> Turn {
        let pending = Pending { hold: Box::new(hold) };
        pending.decide(HoldState::Denied, (None, Some(TOO_MANY.to_owned())), now)
    }

    /// From what was kept; none if that contradicts itself.
    pub(crate) fn of(approval: Approval) -> Option<Self> {
        let Approval { hold, state, decision, changed_at } = approval;
        let hold = Box::new(hold);
        Some(match state {
            HoldState::Pending => Self::Pending(Pending { hold }),
            HoldState::Approved => Self::Approved(Approved { hold, decision: Box::new(decision?) }),
            HoldState::Denied
            | HoldState::Expired
            | HoldState::Withdrawn
            | HoldState::Executed
            | HoldState::Failed
            | HoldState::Unknown => Self::Ended(Ended { state, since: changed_at }),
        })
    }

    /// A vote whose signature holds.
    pub(crate) fn vote(self, vote: &Vote, now: Micros) -> Turn {
        match self {
            Self::Pending(pending) => pending.vote(vote, now),
            Self::Approved(_) | Self::Ended(_) => self.ignores(Ignored::Late),
        }
    }

    /// What a gateway says of a claim.
    pub(crate) fn claim(self, claim: &Claim, now: Micros) -> Turn {
        match self {
            Self::Pending(pending) => pending.claim(claim, now),
            Self::Approved(approved) => approved.claim(claim, now),
            Self::Ended(_) => self.ignores(Ignored::Late),
        }
    }

    /// What is due by time.
    pub(crate) fn tick(self, now: Micros) -> Turn {
        match self {
            Self::Pending(pending) if now >= pending.hold.expires_at => {
                pending.decide(HoldState::Expired, (None, None), now)
            }
            Self::Approved(approved) if now >= approved.hold.expires_at.plus(UNTOLD_MAX) => {
                approved.end(HoldState::Unknown, now)
            }
            Self::Pending(_) | Self::Approved(_) | Self::Ended(_) => self.ignores(Ignored::NotDue),
        }
    }

    /// When [`Self::tick`] next has something to do; nothing ever if it has ended.
    pub(crate) fn due(&self) -> Option<Micros> {
        match self {
            Self::Pending(pending) => Some(pending.hold.expires_at),
            Self::Approved(approved) => Some(approved.hold.expires_at.plus(UNTOLD_MAX)),
            Self::Ended(_) => None,
        }
    }

    /// Since when it has ended.
    pub(crate) const fn ended(&self) -> Option<Micros> {
        match self {
            Self::Ended(ended) => Some(ended.since),
            Self::Pending(_) | Self::Approved(_) => None,
        }
    }

    /// How much of what is held is kept here, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Pending(Pending { hold }) | Self::Approved(Approved { hold, .. }) => {
                bytes_of(hold)
            }
            Self::Ended(_) => 0,
        }
    }

    const fn ignores(self, why: Ignored) -> Turn {
        Turn { standing: self, told: Told::Ignored(why) }
    }
}

impl Pending {
    fn vote(self, vote: &Vote, now: Micros) -> Turn {
        if let Some(why) = self.objection(vote, now) {
            return Standing::Pending(self).ignores(why);
        }
        let state = match vote.verdict {
            Verdict::Approve => HoldState::Approved,
            Verdict::Deny => HoldState::Denied,
        };
        self.decide(state, (Some(vote), vote.reason.clone()), now)
    }

    /// Why a vote does not count; none if it does.
    fn objection(&self, vote: &Vote, now: Micros) -> Option<Ignored> {
        let is_late = |at: Micros| at >= self.hold.expires_at;
        if is_late(now) || is_late(vote.voted_at) {
            return Some(Ignored::Expired);
        }
        if is_requester(&self.hold, &vote.voter, vote.voter_key.as_deref()) {
            return Some(Ignored::OwnVote);
        }
        if !vote.voter_groups.iter().any(|group| self.hold.reviewers.contains(group)) {
            return Some(Ignored::NotReviewer);
        }
        (vote.digest != self.hold.digest).then_some(Ignored::OtherDigest)
    }

    fn claim(self, claim: &Claim, now: Micros) -> Turn {
        if claim.claim != self.hold.claim {
            return Standing::Pending(self).ignores(Ignored::OtherClaim);
        }
        match claim.end {
            ClaimEnd::Withdrawn => closed(*self.hold, None, HoldState::Withdrawn, now),
            // The gateway's clock is ahead: nobody waits any more, so an approval would be of no use.
            ClaimEnd::Failed => closed(*self.hold, None, HoldState::Failed, now),
            ClaimEnd::Executed | ClaimEnd::Unknown => {
                Standing::Pending(self).ignores(Ignored::NotApproved)
            }
        }
    }

    fn decide(
        self,
        state: HoldState,
        (vote, reason): (Option<&Vote>, Option<String>),
        now: Micros,
    ) -> Turn {
        let hold = *self.hold;
        let decision = HoldDecision {
            hold_id: hold.hold_id,
            claim: hold.claim,
            digest: hold.digest.clone(),
            requester: hold.requester.clone(),
            state,
            decided_by: vote.map(|vote| vote.voter.clone()),
            reason,
            decided_at: now,
            expires_at: hold.expires_at,
        };
        let standing = match state {
            HoldState::Approved => Standing::Approved(Approved {
                hold: Box::new(hold.clone()),
                decision: Box::new(decision.clone()),
            }),
            _ => Standing::Ended(Ended { state, since: now }),
        };
        let approval = Approval { hold, state, decision: Some(decision), changed_at: now };
        Turn { standing, told: Told::Decided(Box::new(approval)) }
    }
}

impl Approved {
    fn claim(self, claim: &Claim, now: Micros) -> Turn {
        if claim.claim != self.hold.claim {
            return Standing::Approved(self).ignores(Ignored::OtherClaim);
        }
        let state = match claim.end {
            ClaimEnd::Withdrawn => HoldState::Withdrawn,
            ClaimEnd::Executed => HoldState::Executed,
            ClaimEnd::Failed => HoldState::Failed,
            ClaimEnd::Unknown => HoldState::Unknown,
        };
        self.end(state, now)
    }

    fn end(self, state: HoldState, now: Micros) -> Turn {
        closed(*self.hold, Some(*self.decision), state, now)
    }
}

fn closed(hold: Hold, decision: Option<HoldDecision>, state: HoldState, now: Micros) -> Turn {
    let approval = Approval { hold, state, decision, changed_at: now };
    let standing = Standing::Ended(Ended { state, since: now });
    Turn { standing, told: Told::Closed(Box::new(approval)) }
}

/// What of a hold may be long.
pub(crate) fn bytes_of(hold: &Hold) -> usize {
    let texts = [&hold.payload, &hold.headers, &hold.path];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    texts + FIXED_BYTES
}

/// The other fields of a hold.
const FIXED_BYTES: usize = 1024;

/// Why a hold is denied that nobody was asked about.
pub(crate) const TOO_MANY: &str = "too_many_holds";

#[cfg(test)]
mod tests;

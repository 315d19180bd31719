//! What is held and what people decide about it: the records of `audit.holds`, `audit.votes`,
//! `audit.claims`, `audit.decisions` and `audit.approvals`. JSON, so that neither a decision nor its
//! use waits for a schema registry (docs/adr/0004); fields may be added, none is removed or renamed.

use serde::{Deserialize, Serialize};

use crate::event::AuditEvent;
use crate::ids::{ClaimId, EventId, HoldId, SessionId, StreamId, ThreadId};
use crate::outcome::words;
use crate::session::SessionRule;
use crate::time::Micros;

words! {
    /// What a reviewer says of a hold.
    Verdict, UnknownVerdict, "verdict" {
        /// It may happen.
        Approve = "approve",
        /// It may not.
        Deny = "deny",
    }
}

words! {
    /// Where a hold is. All but the first two are final.
    HoldState, UnknownHoldState, "state of a hold" {
        /// Nobody has decided.
        Pending = "pending",
        /// It may be used, once, by the claim that the decision names.
        Approved = "approved",
        /// A reviewer said no.
        Denied = "denied",
        /// Nobody decided in time, or the approval was not used in time.
        Expired = "expired",
        /// Who asked has gone, so nothing is executed for nobody.
        Withdrawn = "withdrawn",
        /// It was passed on and answered.
        Executed = "executed",
        /// It was passed on, or was to be, and failed.
        Failed = "failed",
        /// It may have been passed on; nobody can say how it ended.
        Unknown = "unknown",
    }
}

words! {
    /// How a claim ended, as the gateway that made it tells.
    ClaimEnd, UnknownClaimEnd, "end of a claim" {
        /// Who asked has gone before a decision was used.
        Withdrawn = "withdrawn",
        /// It was passed on and answered.
        Executed = "executed",
        /// It was not passed on, or broke off before it could have an effect.
        Failed = "failed",
        /// It was passed on; nobody can say how it ended.
        Unknown = "unknown",
    }
}

/// A person or workload as an issuer names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Principal {
    /// Who vouches.
    pub issuer: String,
    /// The subject, as the issuer names it.
    pub subject: String,
}

/// One held operation, masked: what a reviewer sees, and what a decision is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields named as in the event are documented in its Avro schema")]
pub struct Hold {
    pub hold_id: HoldId,
    /// The one claim that may use a decision: the waiting request.
    pub claim: ClaimId,
    /// Keyed hash of exactly what is held, hex.
    pub digest: String,
    /// Who asked.
    pub requester: Principal,
    pub requester_groups: Vec<String>,
    /// The same as a keyed hash. The names are masked, by rules that may differ between stages; this is
    /// by what somebody is known again.
    #[serde(default)]
    pub requester_key: Option<String>,
    /// The rule that holds it, and its version.
    pub rule: String,
    pub rule_version: String,
    /// The groups whose members may decide.
    pub reviewers: Vec<String>,
    pub held_at: Micros,
    /// Until when it may be decided and used.
    pub expires_at: Micros,

    pub tenant: String,
    pub connection: String,
    pub session_id: SessionId,
    pub session_rule: SessionRule,
    pub stream_id: StreamId,
    pub source_address: String,
    pub resource: String,
    pub request_id: Option<String>,
    pub operation: Option<String>,
    pub thread_id: Option<ThreadId>,
    pub method: Option<String>,
    pub path: Option<String>,
    pub headers: Option<String>,
    pub payload_type: Option<String>,
    pub payload: Option<String>,
    /// Length of the whole clear body.
    pub payload_bytes: Option<i64>,
    /// Why a payload is not shown.
    pub payload_reason: Option<String>,
    /// How many spans are masked.
    pub redactions: i64,
    /// Whether less is shown than is held.
    pub truncated: bool,
}

/// A vote, signed by the approver that verified its voter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The event that tells of it.
    pub event_id: EventId,
    /// What it is about.
    pub hold_id: HoldId,
    /// The digest that the voter was shown.
    pub digest: String,
    /// What was said.
    pub verdict: Verdict,
    /// By whom.
    pub voter: Principal,
    /// The same as a keyed hash.
    #[serde(default)]
    pub voter_key: Option<String>,
    /// The voter's groups when voting.
    pub voter_groups: Vec<String>,
    /// Why, masked.
    pub reason: Option<String>,
    /// When.
    pub voted_at: Micros,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// What it is about.
    pub hold_id: HoldId,
    /// The claim.
    pub claim: ClaimId,
    /// How it ended.
    pub end: ClaimEnd,
    /// When.
    pub ended_at: Micros,
}

/// What was decided, signed by the approver. A gateway acts on it only if hold, claim, digest and
/// requester are those of the request that waits, and before it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldDecision {
    /// What it is about.
    pub hold_id: HoldId,
    /// Who may use it.
    pub claim: ClaimId,
    /// The digest that it covers.
    pub digest: String,
    /// Who asked.
    pub requester: Principal,
    /// [`HoldState::Approved`], [`HoldState::Denied`] or [`HoldState::Expired`].
    pub state: HoldState,
    /// Who decided; nobody if it expired.
    pub decided_by: Option<Principal>,
    /// Why, masked.
    pub reason: Option<String>,
    /// When.
    pub decided_at: Micros,
    /// Until when it may be used.
    pub expires_at: Micros,
}

/// A hold as the approver keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What is held.
    pub hold: Hold,
    /// Where it is.
    pub state: HoldState,
    /// What was decided, once something is.
    pub decision: Option<HoldDecision>,
    /// When it came to this state.
    pub changed_at: Micros,
}

impl Hold {
    /// The hold that a masked event of kind `held` tells of; none if it lacks what a hold needs.
    #[must_use]
    pub fn of(event: &AuditEvent) -> Option<Self> {
        Some(Self {
            hold_id: event.hold_id?,
            claim: event.hold_claim?,
            digest: event.hold_digest.clone()?,
            requester: Principal {
                issuer: event.actor_issuer.clone()?,
                subject: event.actor.as_str().to_owned(),
            },
            requester_groups: event.actor_groups.clone(),
            requester_key: event.hold_requester.clone(),
            rule: event.policy_id.clone()?,
            rule_version: event.policy_version.clone().unwrap_or_default(),
            reviewers: event.hold_reviewers.clone(),
            held_at: event.gateway_time,
            expires_at: event.hold_expires_at?,
            tenant: event.tenant.clone(),
            connection: event.connection.clone(),
            session_id: event.session_id,
            session_rule: event.session_rule,
            stream_id: event.stream_id,
            source_address: event.source_address.as_str().to_owned(),
            resource: event.resource.as_str().to_owned(),
            request_id: event.request_id.clone(),
            operation: event.operation.clone(),
            thread_id: event.thread_id,
            method: event.method.clone(),
            path: event.path.clone(),
            headers: event.headers.clone(),
            payload_type: event.payload_type.clone(),
            payload: event.payload.clone(),
            payload_bytes: event.payload_bytes,
            payload_reason: event.payload_reason.clone(),
            redactions: event.redactions.iter().map(|redaction| redaction.count).sum(),
            truncated: event.truncated
                || event.payload.is_none() && event.payload_bytes.is_some_and(|bytes| bytes > 0),
        })
    }
}

impl HoldState {
    /// Whether nothing can follow.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Approved => false,
            Self::Denied
            | Self::Expired
            | Self::Withdrawn
            | Self::Executed
            | Self::Failed
            | Self::Unknown => true,
        }
    }
}

#[cfg(test)]
mod tests;

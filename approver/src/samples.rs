//! What tests hold, say and expect.

use trailgate_schemas::{
    Approval, Claim, ClaimEnd, ClaimId, EventId, Hold, HoldId, Micros, Principal, SessionId,
    SessionRule, StreamId, Verdict, Vote,
};
use uuid::Uuid;

use crate::standing::{Standing, Told};

pub(crate) const HELD_AT: Micros = Micros(1_000_000);
pub(crate) const EXPIRES_AT: Micros = Micros(121_000_000);

/// A moment at which a hold may be decided.
pub(crate) const IN_TIME: Micros = Micros(2_000_000);

pub(crate) fn person(subject: &str) -> Principal {
    Principal { issuer: "https://id".to_owned(), subject: subject.to_owned() }
}

/// The hold with this number, asked for by alice; members of `reviewers` may decide.
pub(crate) fn hold(number: u128) -> Hold {
    Hold {
        hold_id: HoldId(Uuid::from_u128(0x01a2_07e7 << 96 | number)),
        claim: ClaimId(Uuid::from_u128(number)),
        digest: "d1".to_owned(),
        requester: person("alice"),
        requester_groups: vec!["agents".to_owned()],
        requester_key: None,
        rule: "payments".to_owned(),
        rule_version: "v1".to_owned(),
        reviewers: vec!["reviewers".to_owned()],
        held_at: HELD_AT,
        expires_at: EXPIRES_AT,
        tenant: "default".to_owned(),
        connection: "payments".to_owned(),
        session_id: SessionId(Uuid::from_u128(number << 96 | 7)),
        session_rule: SessionRule::Caller,
        stream_id: StreamId(Uuid::from_u128(9)),
        source_address: "192.0.2.1".to_owned(),
        resource: "payments/transfers".to_owned(),
        request_id: None,
        operation: Some("http.request".to_owned()),
        thread_id: None,
        method: Some("POST".to_owned()),
        path: Some("/transfers".to_owned()),
        headers: None,
        payload_type: Some("application/json".to_owned()),
        payload: Some("{\"amount\":10}".to_owned()),
        payload_bytes: Some(13),
        payload_reason: None,
        redactions: 0,
        truncated: false,
    }
}

/// A vote of a reviewer.
pub(crate) fn vote(hold: &Hold, voter: &str, verdict: Verdict) -> Vote {
    Vote {
        event_id: EventId(Uuid::from_u128(5)),
        hold_id: hold.hold_id,
        digest: hold.digest.clone(),
        verdict,
        voter: person(voter),
        voter_key: None,
        voter_groups: vec!["reviewers".to_owned()],
        reason: Some("looked at it".to_owned()),
        voted_at: IN_TIME,
    }
}

pub(crate) fn claim(hold: &Hold, end: ClaimEnd) -> Claim {
    Claim { hold_id: hold.hold_id, claim: hold.claim, end, ended_at: IN_TIME }
}

/// The hold with this number, approved by rita.
pub(crate) fn decided(number: u128) -> Approval {
    let held = hold(number);
    let turn = Standing::open(held.clone(), HELD_AT).standing;
    match turn.vote(&vote(&held, "rita", Verdict::Approve), IN_TIME).told {
        Told::Decided(approval) => *approval,
        other => panic!("not decided: {other:?}"),
    }
}

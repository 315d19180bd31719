use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::event::{Actor, Place, Required, Resource, SourceAddress};
use crate::kind::Kind;
use crate::outcome::Outcome;
use crate::payload::Redaction;

fn held() -> AuditEvent {
    let required = Required {
        actor: Actor::new("ada").unwrap(),
        kind: Kind::Held,
        gateway_time: Micros(5),
        outcome: Outcome::Interrupted,
        source_address: SourceAddress::new("127.0.0.1").unwrap(),
        resource: Resource::new("tools/deploy").unwrap(),
    };
    let place = Place {
        tenant: "default".to_owned(),
        connection: "tools".to_owned(),
        session_id: SessionId(Uuid::from_u128(1)),
        session_rule: SessionRule::Caller,
        stream_id: StreamId(Uuid::from_u128(2)),
        stream_seq: 3,
    };
    let mut event = AuditEvent::new(EventId(Uuid::from_u128(4)), required, place);
    event.actor_issuer = Some("https://issuer.test".to_owned());
    event.actor_groups = vec!["agents".to_owned()];
    event.policy_id = Some("deploys".to_owned());
    event.policy_version = Some("0011".to_owned());
    event.payload = Some("{}".to_owned());
    event.hold_id = Some(HoldId(Uuid::from_u128(5)));
    event.hold_claim = Some(ClaimId(Uuid::from_u128(6)));
    event.hold_digest = Some("ab".repeat(32));
    event.hold_reviewers = vec!["leads".to_owned()];
    event.hold_expires_at = Some(Micros(9));
    event
}

fn decision() -> HoldDecision {
    let hold = Hold::of(&held()).unwrap();
    HoldDecision {
        hold_id: hold.hold_id,
        claim: hold.claim,
        digest: hold.digest,
        requester: hold.requester,
        state: HoldState::Approved,
        decided_by: None,
        reason: None,
        decided_at: Micros(7),
        expires_at: hold.expires_at,
    }
}

#[test]
fn a_hold_says_who_asked_for_what_and_who_may_decide_until_when() {
    let mut event = held();
    let redaction = |count| Redaction {
        rule: "bearer".to_owned(),
        field: "payload".to_owned(),
        start: None,
        count,
        ..Redaction::default()
    };
    event.redactions = vec![redaction(2), redaction(3)];
    let hold = Hold::of(&event).unwrap();
    assert_eq!(hold.requester.subject, "ada");
    assert_eq!(hold.requester.issuer, "https://issuer.test");
    assert_eq!((hold.rule.as_str(), hold.rule_version.as_str()), ("deploys", "0011"));
    assert_eq!(hold.reviewers, ["leads"]);
    assert_eq!((hold.held_at, hold.expires_at), (Micros(5), Micros(9)));
    assert_eq!(hold.redactions, 5);
}

#[test]
fn an_event_that_lacks_what_a_decision_is_bound_to_is_no_hold() {
    type Take = fn(&mut AuditEvent);
    let takes: [Take; 6] = [
        |event| event.hold_id = None,
        |event| event.hold_claim = None,
        |event| event.hold_digest = None,
        |event| event.hold_expires_at = None,
        |event| event.actor_issuer = None,
        |event| event.policy_id = None,
    ];
    assert!(Hold::of(&held()).is_some());
    for (n, take) in takes.iter().enumerate() {
        let mut event = held();
        take(&mut event);
        assert_eq!(Hold::of(&event), None, "case {n}");
    }
}

#[test]
fn every_word_of_a_hold_parses_back_and_another_is_refused() {
    for state in HoldState::ALL {
        assert_eq!(state.word().parse(), Ok(*state));
    }
    for end in ClaimEnd::ALL {
        assert_eq!(end.word().parse(), Ok(*end));
    }
    for verdict in Verdict::ALL {
        assert_eq!(verdict.word().parse(), Ok(*verdict));
    }
    assert!(serde_json::from_str::<HoldState>("\"perhaps\"").is_err());
}

#[test]
fn only_what_waits_for_a_decision_or_its_use_can_change() {
    let open: Vec<_> = HoldState::ALL.iter().filter(|state| !state.is_final()).collect();
    assert_eq!(open, [&HoldState::Pending, &HoldState::Approved]);
}

#[test]
fn a_record_with_fields_of_a_later_version_reads() {
    let mut json = serde_json::to_value(decision()).unwrap();
    json["added_later"] = true.into();
    assert_eq!(serde_json::from_value::<HoldDecision>(json).unwrap(), decision());
}

fn any_principal() -> impl Strategy<Value = Principal> {
    (".{0,20}", ".{0,20}").prop_map(|(issuer, subject)| Principal { issuer, subject })
}

fn any_hold() -> impl Strategy<Value = Hold> {
    let texts =
        (".{0,20}", proptest::option::of(".{0,40}"), proptest::collection::vec(".{0,8}", 0..3));
    (any_principal(), texts, any::<(u128, u128, i64, bool)>()).prop_map(
        |(requester, (rule, payload, reviewers), (id, claim, number, truncated))| Hold {
            hold_id: HoldId(Uuid::from_u128(id)),
            claim: ClaimId(Uuid::from_u128(claim)),
            requester,
            rule,
            reviewers,
            payload,
            payload_bytes: Some(number),
            expires_at: Micros(number),
            truncated,
            ..Hold::of(&held()).unwrap()
        },
    )
}

proptest! {
    #[test]
    fn a_hold_reads_back_as_it_was_written(hold in any_hold()) {
        let json = serde_json::to_vec(&hold).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Hold>(&json).unwrap(), hold);
    }

    #[test]
    fn an_approval_with_its_decision_reads_back_as_it_was_written(
        hold in any_hold(),
        decided_by in proptest::option::of(any_principal()),
        state in proptest::sample::select(HoldState::ALL),
    ) {
        let decision = HoldDecision { decided_by, state, ..decision() };
        let approval =
            Approval { hold, state, decision: Some(decision), changed_at: Micros(1) };
        let json = serde_json::to_vec(&approval).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Approval>(&json).unwrap(), approval);
    }

    #[test]
    fn votes_and_claims_read_back_as_they_were_written(
        voter in any_principal(),
        reason in proptest::option::of(".{0,40}"),
        ids in any::<(u128, u128)>(),
        verdict in proptest::sample::select(Verdict::ALL),
        end in proptest::sample::select(ClaimEnd::ALL),
    ) {
        let hold_id = HoldId(Uuid::from_u128(ids.0));
        let vote = Vote {
            event_id: EventId(Uuid::from_u128(ids.1)),
            hold_id,
            digest: "ab".repeat(32),
            verdict,
            voter,
            voter_key: None,
            voter_groups: vec!["leads".to_owned()],
            reason,
            voted_at: Micros(3),
        };
        let json = serde_json::to_vec(&vote).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Vote>(&json).unwrap(), vote);
        let claim = Claim { hold_id, claim: ClaimId(Uuid::from_u128(ids.1)), end, ended_at: Micros(4) };
        let json = serde_json::to_vec(&claim).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Claim>(&json).unwrap(), claim);
    }

    #[test]
    fn no_bytes_make_reading_a_decision_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = serde_json::from_slice::<HoldDecision>(&bytes);
    }
}

//! The event that tells of a decision: in the session of what was held, and a stream of its own.

use trailgate_schemas::{
    Actor, Approval, AuditEvent, AuthMethod, Decision, Hold, HoldDecision, HoldState, Kind,
    Outcome, Place, Required, Resource, SourceAddress, StreamId,
};
use trailgate_service::Ids;

/// The event of the decision that an approval holds; none if it holds none that may be told.
pub(crate) fn decided_event(approval: &Approval, ids: &dyn Ids) -> Option<AuditEvent> {
    let decision = approval.decision.as_ref()?;
    let (kind, outcome, decided) = match decision.state {
        HoldState::Approved => (Kind::Approved, Outcome::Allowed, Decision::Allow),
        HoldState::Denied => (Kind::Denied, Outcome::Denied, Decision::Deny),
        HoldState::Expired => (Kind::Expired, Outcome::Denied, Decision::Deny),
        HoldState::Pending
        | HoldState::Withdrawn
        | HoldState::Executed
        | HoldState::Failed
        | HoldState::Unknown => return None,
    };
    let hold = &approval.hold;
    let required = Required {
        actor: actor(decision)?,
        kind,
        gateway_time: decision.decided_at,
        outcome,
        source_address: SourceAddress::new(STAGE).ok()?,
        resource: Resource::new(hold.resource.as_str()).ok()?,
    };
    let mut event = AuditEvent::new(ids.event(), required, place(hold, ids.stream()));
    describe(&mut event, hold);
    event.decision = Some(decided);
    event.reason.clone_from(&decision.reason);
    match &decision.decided_by {
        Some(person) => {
            event.actor_issuer = Some(person.issuer.clone());
            event.auth_method = AuthMethod::OidcBearer;
        }
        None => event.auth_method = AuthMethod::Stage,
    }
    Some(event)
}

/// Where an event about a hold belongs: where the held event is, as a stream of one record.
pub(crate) fn place(hold: &Hold, stream_id: StreamId) -> Place {
    Place {
        tenant: hold.tenant.clone(),
        connection: hold.connection.clone(),
        session_id: hold.session_id,
        session_rule: hold.session_rule,
        stream_id,
        stream_seq: 0,
    }
}

/// Says which hold an event is about, and what was held.
pub(crate) fn describe(event: &mut AuditEvent, hold: &Hold) {
    event.stream_count = Some(1);
    event.request_id.clone_from(&hold.request_id);
    event.operation.clone_from(&hold.operation);
    event.thread_id = hold.thread_id;
    event.method.clone_from(&hold.method);
    event.path.clone_from(&hold.path);
    event.policy_id = Some(hold.rule.clone());
    event.policy_version = Some(hold.rule_version.clone());
    event.hold_id = Some(hold.hold_id);
    event.hold_claim = Some(hold.claim);
    event.hold_digest = Some(hold.digest.clone());
    event.hold_reviewers.clone_from(&hold.reviewers);
    event.hold_expires_at = Some(hold.expires_at);
}

fn actor(decision: &HoldDecision) -> Option<Actor> {
    match &decision.decided_by {
        Some(person) => Actor::new(person.subject.as_str()).ok(),
        None => Some(Actor::stage(STAGE)),
    }
}

/// This stage's name.
pub(crate) const STAGE: &str = "approver";

#[cfg(test)]
mod tests {
    use trailgate_service::CountedIds;

    use super::*;
    use crate::samples::{EXPIRES_AT, HELD_AT, decided, hold};
    use crate::standing::{Standing, Told};

    #[test]
    fn a_decision_is_told_by_who_made_it_in_the_session_of_what_was_held() {
        let event = decided_event(&decided(1), &CountedIds::default()).unwrap();
        let held = hold(1);
        assert_eq!((event.kind, event.actor.as_str()), (Kind::Approved, "rita"));
        assert_eq!((event.session_id, event.connection), (held.session_id, held.connection));
        assert_eq!((event.hold_id, event.policy_id), (Some(held.hold_id), Some(held.rule)));
        assert_eq!(event.reason.as_deref(), Some("looked at it"));
        assert_eq!(event.stream_count, Some(1));
    }

    #[test]
    fn what_nobody_decided_is_told_by_the_stage() {
        let turn = Standing::open(hold(1), HELD_AT).standing.tick(EXPIRES_AT);
        let Told::Decided(approval) = turn.told else { panic!("not expired") };
        let event = decided_event(&approval, &CountedIds::default()).unwrap();
        assert_eq!((event.kind, event.outcome), (Kind::Expired, Outcome::Denied));
        assert_eq!(event.actor, Actor::stage("approver"));
        assert_eq!(event.auth_method, AuthMethod::Stage);
    }
}

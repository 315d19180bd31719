//! What query itself leaves on the trail: each statement before its answer, each caller that was
//! not let in.

use std::net::IpAddr;
use std::sync::Arc;

use trailgate_identity::{Identity, Refusal};
use trailgate_schemas::{
    Actor, AuditEvent, AuthMethod, Decision, Kind, Outcome, PayloadState, Place, Required,
    Resource, SessionKey, SessionThing, SourceAddress,
};
use trailgate_service::{Clock, Ids};

/// Makes the events.
pub(crate) struct Trail {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) sessions: SessionKey,
}

impl Trail {
    /// A caller that can't be verified.
    pub(crate) fn login_refused(&self, from: IpAddr, refusal: Refusal) -> AuditEvent {
        let mut event = self.event(Kind::LoginRefused, Outcome::Denied, from, None);
        event.decision = Some(Decision::Deny);
        event.reason = Some(refusal.code().to_owned());
        event
    }

    /// A caller that may not read.
    pub(crate) fn denied(&self, from: IpAddr, who: &Identity) -> AuditEvent {
        let mut event = self.event(Kind::Denied, Outcome::Denied, from, Some(who));
        event.decision = Some(Decision::Deny);
        event.reason = Some(NO_GROUP.to_owned());
        event
    }

    /// A statement that is about to run.
    pub(crate) fn executed(&self, from: IpAddr, who: &Identity, sql: &str) -> AuditEvent {
        let mut event = self.event(Kind::QueryExecuted, Outcome::Allowed, from, Some(who));
        event.decision = Some(Decision::Allow);
        with_sql(&mut event, sql);
        event
    }

    /// A statement that does not run, for the reason `code`.
    pub(crate) fn not_executed(
        &self,
        from: IpAddr,
        who: &Identity,
        sql: &str,
        code: &'static str,
    ) -> AuditEvent {
        let mut event = self.event(Kind::QueryExecuted, Outcome::Failed, from, Some(who));
        event.reason = Some(code.to_owned());
        with_sql(&mut event, sql);
        event
    }

    fn event(
        &self,
        kind: Kind,
        outcome: Outcome,
        from: IpAddr,
        who: Option<&Identity>,
    ) -> AuditEvent {
        let stream_id = self.ids.stream();
        // Whom nobody vouches for has no session with others.
        let thing = who.map_or(SessionThing::Connection(stream_id), |who| SessionThing::Caller {
            issuer: who.issuer.clone(),
            subject: who.subject.clone(),
        });
        let place = Place {
            tenant: TENANT.to_owned(),
            connection: CONNECTION.to_owned(),
            session_id: self.sessions.session_id(TENANT, CONNECTION, &thing),
            session_rule: thing.rule(),
            stream_id,
            stream_seq: 0,
        };
        let actor = who.and_then(|who| Actor::new(who.subject.as_str()).ok());
        let required = Required {
            actor: actor.unwrap_or_else(Actor::unverified),
            kind,
            gateway_time: self.clock.now(),
            outcome,
            source_address: SourceAddress::new(from.to_string())
                .unwrap_or_else(|_| unreachable!("an address is never empty")),
            resource: Resource::new(RESOURCE)
                .unwrap_or_else(|_| unreachable!("the resource is never empty")),
        };
        let mut event = AuditEvent::new(self.ids.event(), required, place);
        event.stream_count = Some(1);
        event.operation = Some("sql".to_owned());
        event.method = Some("POST".to_owned());
        event.auth_method = who.map_or(AuthMethod::None, |who| who.method);
        if let Some(who) = who {
            event.actor_issuer = Some(who.issuer.clone());
            event.actor_groups.clone_from(&who.groups);
        }
        event
    }
}

fn with_sql(event: &mut AuditEvent, sql: &str) {
    event.payload_state = PayloadState::Recorded;
    event.payload_type = Some("application/sql".to_owned());
    event.payload_bytes = i64::try_from(sql.len()).ok();
    event.payload = Some(sql.to_owned());
}

/// The reason why a verified caller may not read.
pub(crate) const NO_GROUP: &str = "no_group";

const TENANT: &str = "default";
const CONNECTION: &str = "query";
const RESOURCE: &str = "query/v1/sql";

#[cfg(test)]
mod tests {
    use trailgate_schemas::{Micros, SessionRule};
    use trailgate_service::{CountedIds, ManualClock};

    use super::*;

    #[test]
    fn a_statement_stands_in_its_event_and_belongs_to_its_caller() {
        let trail = Trail {
            clock: Arc::new(ManualClock::at(Micros(7))),
            ids: Arc::new(CountedIds::default()),
            sessions: SessionKey::new(&[1; 32]),
        };
        let who = Identity {
            subject: "ann".to_owned(),
            issuer: "https://id".to_owned(),
            groups: vec!["auditors".to_owned()],
            method: AuthMethod::OidcBearer,
            expires_at: Micros(9),
        };
        let from = IpAddr::from([192, 0, 2, 1]);
        let (one, two) = (trail.executed(from, &who, "SELECT 1"), trail.denied(from, &who));
        assert_eq!(one.payload.as_deref(), Some("SELECT 1"));
        assert_eq!((one.session_id, one.session_rule), (two.session_id, SessionRule::Caller));
        assert_eq!((one.actor.as_str(), one.stream_count), ("ann", Some(1)));
        let nobody = trail.login_refused(from, Refusal::Expired);
        assert_eq!(
            (nobody.actor.as_str(), nobody.reason.as_deref()),
            ("[unverified]", Some("expired"))
        );
        assert_ne!(nobody.session_id, trail.login_refused(from, Refusal::Expired).session_id);
    }
}

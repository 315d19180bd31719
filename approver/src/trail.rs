//! What the API leaves on the trail: each vote before it counts, each caller that was not let in, each
//! vote that was refused.

use std::net::IpAddr;
use std::sync::Arc;

use trailgate_identity::{Identity, Refusal};
use trailgate_schemas::{
    Actor, AuditEvent, AuthMethod, Decision, Hold, HoldId, Kind, Outcome, Place, Required,
    Resource, SessionKey, SessionThing, SourceAddress, Verdict,
};
use trailgate_service::{Clock, Ids};

use crate::decided::{STAGE, describe, place};
use crate::desk::Asked;

/// Makes the events.
pub(crate) struct Trail {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) sessions: SessionKey,
}

impl Trail {
    /// A caller that can't be verified.
    pub(crate) fn login_refused(&self, from: IpAddr, asked: Asked, refusal: Refusal) -> AuditEvent {
        self.refused(Kind::LoginRefused, from, None, (asked, refusal.code()))
    }

    /// A verified caller that may not do what it asked. The hold stands in the path alone: an event of
    /// this kind that names a hold in its own column is the decision about that.
    pub(crate) fn denied(
        &self,
        from: IpAddr,
        who: &Identity,
        asked: Asked,
        code: &'static str,
    ) -> AuditEvent {
        self.refused(Kind::Denied, from, Some(who), (asked, code))
    }

    /// A vote, in the session of what it is about.
    pub(crate) fn voted(
        &self,
        from: IpAddr,
        who: &Identity,
        hold: &Hold,
        (verdict, reason): (Verdict, Option<&str>),
    ) -> AuditEvent {
        let (outcome, decision) = match verdict {
            Verdict::Approve => (Outcome::Allowed, Decision::Allow),
            Verdict::Deny => (Outcome::Denied, Decision::Deny),
        };
        let place = place(hold, self.ids.stream());
        let resource = Resource::new(hold.resource.as_str());
        let required = self.required((Kind::Voted, outcome), from, Some(who), resource.ok());
        let mut event = AuditEvent::new(self.ids.event(), required, place);
        describe(&mut event, hold);
        tell_who(&mut event, who);
        event.decision = Some(decision);
        event.reason = reason.map(str::to_owned);
        event
    }

    fn refused(
        &self,
        kind: Kind,
        from: IpAddr,
        who: Option<&Identity>,
        (asked, code): (Asked, &'static str),
    ) -> AuditEvent {
        let stream_id = self.ids.stream();
        // Whom nobody vouches for has no session with others.
        let thing = who.map_or(SessionThing::Connection(stream_id), |who| SessionThing::Caller {
            issuer: who.issuer.clone(),
            subject: who.subject.clone(),
        });
        let place = Place {
            tenant: TENANT.to_owned(),
            connection: STAGE.to_owned(),
            session_id: self.sessions.session_id(TENANT, STAGE, &thing),
            session_rule: thing.rule(),
            stream_id,
            stream_seq: 0,
        };
        let required = self.required((kind, Outcome::Denied), from, who, None);
        let mut event = AuditEvent::new(self.ids.event(), required, place);
        event.stream_count = Some(1);
        event.operation = Some(asked.operation().to_owned());
        event.method = Some(asked.method().to_owned());
        event.path = Some(asked.path());
        event.decision = Some(Decision::Deny);
        event.reason = Some(code.to_owned());
        if let Some(who) = who {
            tell_who(&mut event, who);
        }
        event
    }

    fn required(
        &self,
        (kind, outcome): (Kind, Outcome),
        from: IpAddr,
        who: Option<&Identity>,
        resource: Option<Resource>,
    ) -> Required {
        let actor = who.and_then(|who| Actor::new(who.subject.as_str()).ok());
        let own = || {
            Resource::new(RESOURCE).unwrap_or_else(|_| unreachable!("the resource is never empty"))
        };
        Required {
            actor: actor.unwrap_or_else(Actor::unverified),
            kind,
            gateway_time: self.clock.now(),
            outcome,
            source_address: SourceAddress::new(from.to_string())
                .unwrap_or_else(|_| unreachable!("an address is never empty")),
            resource: resource.unwrap_or_else(own),
        }
    }
}

impl Asked {
    const fn operation(self) -> &'static str {
        match self {
            Self::List => "holds.list",
            Self::Show(_) => "holds.show",
            Self::Vote(_, Verdict::Approve) => "holds.approve",
            Self::Vote(_, Verdict::Deny) => "holds.deny",
        }
    }

    const fn method(self) -> &'static str {
        match self {
            Self::List | Self::Show(_) => "GET",
            Self::Vote(..) => "POST",
        }
    }

    /// Made anew out of what was read from the caller's.
    fn path(self) -> String {
        let of = |id: HoldId| format!("/v1/holds/{id}");
        match self {
            Self::List => "/v1/holds".to_owned(),
            Self::Show(id) => of(id),
            Self::Vote(id, verdict) => format!("{}/{verdict}", of(id)),
        }
    }
}

fn tell_who(event: &mut AuditEvent, who: &Identity) {
    event.auth_method = who.method;
    event.actor_issuer = Some(who.issuer.clone());
    event.actor_groups.clone_from(&who.groups);
    debug_assert!(event.auth_method != AuthMethod::None, "who is verified was so in some way");
}

const TENANT: &str = "default";
const RESOURCE: &str = "approver/v1/holds";

//! The one envelope for everything that is recorded. Inside the seal its strings are clear; in
//! `audit.events` they have passed the masker. Flat, so that whatever is filtered on is a column.

use serde::{Deserialize, Serialize};

use crate::ids::{
    AssistantId, ClaimId, EventId, HoldId, ProducerId, RunId, SessionId, StreamId, TaskId, ThreadId,
};
use crate::kind::Kind;
use crate::outcome::{Outcome, words};
use crate::payload::{Frame, PayloadState, Redaction};
use crate::session::SessionRule;
use crate::time::Micros;

/// A text that must say something was empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{noun} is empty")]
pub struct Empty {
    noun: &'static str,
}

macro_rules! said {
    ($(#[$doc:meta])* $name:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes a text that is not empty.
            ///
            /// # Errors
            /// [`Empty`] if it is.
            pub fn new(text: impl Into<String>) -> Result<Self, Empty> {
                let text = text.into();
                if text.is_empty() { Err(Empty { noun: $noun }) } else { Ok(Self(text)) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl TryFrom<String> for $name {
            type Error = Empty;
            fn try_from(text: String) -> Result<Self, Empty> { Self::new(text) }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self { value.0 }
        }
    };
}

said!(
    /// Who: the verified subject, or a word in brackets for who it can't be, as `[unverified]`.
    Actor, "actor"
);
said!(
    /// From where: an address, or the name of the stage that acted.
    SourceAddress, "source address"
);
said!(
    /// Which resource: the connection and what was asked of it, or what a stage acted on.
    Resource, "resource"
);

impl Actor {
    /// Nobody could be verified.
    #[must_use]
    pub fn unverified() -> Self {
        Self("[unverified]".to_owned())
    }

    /// A stage of Trailgate itself.
    #[must_use]
    pub fn stage(name: &'static str) -> Self {
        Self(format!("[trailgate {name}]"))
    }
}

words! {
    /// How the actor proved who it is.
    AuthMethod, UnknownAuthMethod, "authentication method" {
        /// Nothing was proved.
        None = "none",
        /// An OIDC bearer token.
        OidcBearer = "oidc_bearer",
        /// It is a stage of Trailgate.
        Stage = "stage",
    }
}

words! {
    /// What the gateway decided.
    Decision, UnknownDecision, "decision" {
        /// Let through.
        Allow = "allow",
        /// Not let through.
        Deny = "deny",
        /// Kept until a person decides.
        Hold = "hold",
    }
}

/// The six that are never null (PCI DSS 10.2.2): who, what type, when, outcome, from where, which
/// resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// Who.
    pub actor: Actor,
    /// What type of event.
    pub kind: Kind,
    /// When the gateway saw it.
    pub gateway_time: Micros,
    /// How it came out.
    pub outcome: Outcome,
    /// From where.
    pub source_address: SourceAddress,
    /// Which resource.
    pub resource: Resource,
}

/// One recorded event; the fields are those of `avro/audit_event.avsc`, where each is explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "audit_event")]
#[expect(missing_docs, reason = "each field is documented in the Avro schema it mirrors")]
pub struct AuditEvent {
    pub event_id: EventId,
    pub kind: Kind,
    pub actor: Actor,
    pub gateway_time: Micros,
    pub outcome: Outcome,
    pub source_address: SourceAddress,
    pub resource: Resource,

    pub tenant: String,
    pub connection: String,
    pub session_id: SessionId,
    pub session_rule: SessionRule,
    pub stream_id: StreamId,
    pub stream_seq: i64,
    pub stream_count: Option<i64>,
    pub producer_id: ProducerId,
    pub producer_number: i64,

    pub source_time: Option<Micros>,
    pub broker_time: Option<Micros>,

    pub actor_issuer: Option<String>,
    pub actor_groups: Vec<String>,
    pub auth_method: AuthMethod,
    pub on_behalf_of: Option<String>,
    pub workload: Option<String>,

    pub request_id: Option<String>,
    pub operation: Option<String>,
    pub method: Option<String>,
    pub path: Option<String>,
    pub headers: Option<String>,
    pub status: Option<i32>,
    pub reason: Option<String>,
    pub error: Option<String>,
    pub count: Option<i64>,

    pub decision: Option<Decision>,
    pub policy_id: Option<String>,
    pub policy_version: Option<String>,
    pub decision_context: Option<String>,
    pub risk: Option<i32>,
    pub risk_factors: Vec<String>,

    pub thread_id: Option<ThreadId>,
    pub run_id: Option<RunId>,
    pub assistant_id: Option<AssistantId>,
    pub graph_id: Option<String>,
    pub node: Option<String>,
    pub step: Option<i64>,
    pub task_id: Option<TaskId>,
    pub checkpoint_ns: Option<String>,
    pub attempt: Option<i64>,
    pub cron_id: Option<String>,
    pub surface: Option<String>,

    pub trace_id: Option<String>,
    pub span_id: Option<String>,
    pub model: Option<String>,
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,

    pub payload_state: PayloadState,
    pub payload_reason: Option<String>,
    pub payload_type: Option<String>,
    pub payload: Option<String>,
    pub payload_bytes: Option<i64>,
    pub payload_digest: Option<String>,
    pub payload_salt: Option<String>,
    pub payload_commitment: Option<String>,
    pub body_offset: Option<i64>,
    pub frames: Vec<Frame>,
    pub redactions: Vec<Redaction>,
    pub redaction_rules: Option<String>,
    pub truncated: bool,

    pub hold_id: Option<HoldId>,
    pub hold_claim: Option<ClaimId>,
    pub hold_digest: Option<String>,
    /// What a masker of an older version kept as JSON has no such list.
    #[serde(default)]
    pub hold_reviewers: Vec<String>,
    pub hold_expires_at: Option<Micros>,
    pub hold_requester: Option<String>,

    /// The event whose withheld payload this one holds.
    pub recovers: Option<EventId>,
}

impl AuditEvent {
    /// An event with the six that are never null and where it belongs; everything else is absent.
    /// The producer's id and number are set by whoever numbers it, at the moment it is produced.
    #[must_use]
    pub fn new(event_id: EventId, required: Required, place: Place) -> Self {
        Self {
            event_id,
            kind: required.kind,
            actor: required.actor,
            gateway_time: required.gateway_time,
            outcome: required.outcome,
            source_address: required.source_address,
            resource: required.resource,
            tenant: place.tenant,
            connection: place.connection,
            session_id: place.session_id,
            session_rule: place.session_rule,
            stream_id: place.stream_id,
            stream_seq: place.stream_seq,
            stream_count: None,
            producer_id: ProducerId(uuid::Uuid::nil()),
            producer_number: 0,
            source_time: None,
            broker_time: None,
            actor_issuer: None,
            actor_groups: Vec::new(),
            auth_method: AuthMethod::None,
            on_behalf_of: None,
            workload: None,
            request_id: None,
            operation: None,
            method: None,
            path: None,
            headers: None,
            status: None,
            reason: None,
            error: None,
            count: None,
            decision: None,
            policy_id: None,
            policy_version: None,
            decision_context: None,
            risk: None,
            risk_factors: Vec::new(),
            thread_id: None,
            run_id: None,
            assistant_id: None,
            graph_id: None,
            node: None,
            step: None,
            task_id: None,
            checkpoint_ns: None,
            attempt: None,
            cron_id: None,
            surface: None,
            trace_id: None,
            span_id: None,
            model: None,
            input_tokens: None,
            output_tokens: None,
            payload_state: PayloadState::None,
            payload_reason: None,
            payload_type: None,
            payload: None,
            payload_bytes: None,
            payload_digest: None,
            payload_salt: None,
            payload_commitment: None,
            body_offset: None,
            frames: Vec::new(),
            redactions: Vec::new(),
            redaction_rules: None,
            truncated: false,
            hold_id: None,
            hold_claim: None,
            hold_digest: None,
            hold_reviewers: Vec::new(),
            hold_expires_at: None,
            hold_requester: None,
            recovers: None,
        }
    }
}

/// Where an event belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The tenant of the connection, else `default`.
    pub tenant: String,
    /// The connection's name in the gateway's configuration, or the acting stage's name.
    pub connection: String,
    /// The session.
    pub session_id: SessionId,
    /// The rule by which it was put there.
    pub session_rule: SessionRule,
    /// The exchange or connection.
    pub stream_id: StreamId,
    /// Its dense number within that, from 0.
    pub stream_seq: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_from_where_and_which_resource_can_not_be_empty() {
        assert!(Actor::new("").is_err());
        assert!(SourceAddress::new("").is_err());
        assert!(Resource::new("").is_err());
    }
}

#![doc = include_str!("../README.md")]

mod avro;
mod event;
mod hold;
mod ids;
mod kind;
mod lineage;
mod ocsf;
mod outcome;
mod payload;
mod sealed;
mod session;
mod time;

pub use avro::{
    AUDIT_EVENT_SCHEMA, AvroError, EventReader, EventWriter, FrameError, SEALED_EVENT_SCHEMA,
    SchemaId, SealedReader, SealedWriter, frame, unframe,
};
pub use event::{
    Actor, AuditEvent, AuthMethod, Decision, Empty, Place, Required, Resource, SourceAddress,
};
pub use hold::{
    Approval, Claim, ClaimEnd, Hold, HoldDecision, HoldState, Principal, UnknownClaimEnd,
    UnknownHoldState, UnknownVerdict, Verdict, Vote,
};
pub use ids::{
    AssistantId, ClaimId, EventId, HoldId, IdError, ProducerId, RunId, SessionId, StreamId, TaskId,
    ThreadId,
};
pub use kind::{Kind, UnknownKind};
pub use lineage::{AUDIT_EVENT_VERSIONS, SEALED_EVENT_VERSIONS, SchemaVersion};
pub use ocsf::{OCSF_VERSION, ocsf_json};
pub use outcome::{Outcome, UnknownOutcome};
pub use payload::{Frame, PayloadState, Redaction};
pub use sealed::{ClearHeader, SEAL_VERSION, SealedEvent};
pub use session::{SessionKey, SessionRule, SessionThing, UnknownSessionRule};
pub use time::Micros;

//! Events for tests.

use bytes::Bytes;
use trailgate_schemas::{
    Actor, AuditEvent, EventId, EventWriter, Frame, Kind, Micros, Outcome, PayloadState, Place,
    ProducerId, Redaction, Required, Resource, SchemaId, SessionId, SessionRule, SourceAddress,
    StreamId,
};
use uuid::Uuid;

use crate::decoder::LogRecord;
use crate::ids::LogPartition;

/// The registry id that samples are written under.
pub(crate) const ID: SchemaId = SchemaId(7);

/// 2026-11-23.
pub(crate) const NOON: Micros = Micros(1_795_435_200_000_000);

/// Event number `n`.
pub(crate) fn event(n: i64) -> AuditEvent {
    let required = Required {
        actor: Actor::new("ada@example.com").unwrap(),
        kind: Kind::Request,
        gateway_time: Micros(NOON.0 + n),
        outcome: Outcome::Allowed,
        source_address: SourceAddress::new("127.0.0.1").unwrap(),
        resource: Resource::new("agents").unwrap(),
    };
    let place = Place {
        tenant: "default".to_owned(),
        connection: "agents".to_owned(),
        session_id: SessionId(Uuid::from_u128(0x5e55_0000 + (n / 10).cast_unsigned() as u128)),
        session_rule: SessionRule::Thread,
        stream_id: StreamId(Uuid::from_u128(2)),
        stream_seq: n,
    };
    let id = EventId(Uuid::from_u128(0xe0e0_0000 + u128::from(n.cast_unsigned())));
    let mut event = AuditEvent::new(id, required, place);
    event.producer_id = ProducerId(Uuid::from_u128(9));
    event.broker_time = Some(Micros(NOON.0 + n));
    event.actor_groups = vec!["ops".to_owned(), "dev".to_owned()];
    event.status = Some(200);
    event.payload_state = PayloadState::Recorded;
    event.payload = Some(format!("{{\"number\":{n}}}"));
    event.frames = vec![Frame { offset: 0, time: NOON }];
    event.redactions = vec![Redaction {
        rule: "bearer".to_owned(),
        field: "payload".to_owned(),
        start: None,
        count: 2,
        ..Redaction::default()
    }];
    event
}

/// Event number `n` as a framed datum.
pub(crate) fn framed(n: i64) -> Bytes {
    Bytes::from(EventWriter::new(ID).write(&event(n)).unwrap())
}

/// A record of partition 0 that holds `value`.
pub(crate) fn record(n: i64, value: Bytes) -> LogRecord {
    LogRecord {
        partition: LogPartition(0),
        offset: n * 2,
        log_index: n,
        appended_at: NOON,
        session: None,
        value,
    }
}

//! Events for tests.

use bytes::Bytes;
use trailgate_schemas::{
    Actor, AuditEvent, EventId, EventWriter, Kind, Micros, Outcome, Place, Required, Resource,
    SchemaId, SessionId, SessionRule, SourceAddress, StreamId,
};
use uuid::Uuid;

/// Event number `n`, written under `id`.
pub(crate) fn framed(id: SchemaId, n: i64) -> Bytes {
    let required = Required {
        actor: Actor::new("ada@example.com").unwrap(),
        kind: Kind::Request,
        gateway_time: Micros(1_795_435_200_000_000 + n),
        outcome: Outcome::Allowed,
        source_address: SourceAddress::new("127.0.0.1").unwrap(),
        resource: Resource::new("agents").unwrap(),
    };
    let number = u128::from(n.cast_unsigned());
    let place = Place {
        tenant: "default".to_owned(),
        connection: "agents".to_owned(),
        session_id: SessionId(Uuid::from_u128(number / 10)),
        session_rule: SessionRule::Thread,
        stream_id: StreamId(Uuid::from_u128(2)),
        stream_seq: n,
    };
    let event = AuditEvent::new(EventId(Uuid::from_u128(number + 1)), required, place);
    Bytes::from(EventWriter::new(id).write(&event).unwrap())
}

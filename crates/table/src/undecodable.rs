//! The event that stands in the table for a record that does not decode: what is known of the
//! record, and nothing of its bytes.

use trailgate_schemas::{
    Actor, AuditEvent, AuthMethod, EventId, Kind, Outcome, PayloadState, Place, Required, Resource,
    SessionId, SessionRule, SourceAddress, StreamId,
};
use uuid::Uuid;

use crate::decoder::LogRecord;

/// Why a record does not decode: the row's `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not framed.
    Frame,
    /// The registry has no schema of its id.
    Schema,
    /// It is no datum of its schema, or has bytes behind its end.
    Datum,
}

impl Fault {
    const fn code(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Schema => "schema_unknown",
            Self::Datum => "datum",
        }
    }
}

/// The event. The same record always makes the same event, so that whoever reads it, before it is
/// in the table or after, sees one.
pub(crate) fn undecodable(record: &LogRecord, fault: Fault) -> AuditEvent {
    let required = Required {
        actor: Actor::stage("archiver"),
        kind: Kind::Undecodable,
        gateway_time: record.appended_at,
        outcome: Outcome::Unknown,
        source_address: said(SourceAddress::new("archiver")),
        resource: said(Resource::new(format!(
            "audit.events/{}/{}",
            record.partition.0, record.offset
        ))),
    };
    let session_id = record.session.unwrap_or(SessionId(Uuid::nil()));
    let place = Place {
        tenant: "default".to_owned(),
        connection: "archiver".to_owned(),
        session_id,
        session_rule: SessionRule::Stage,
        stream_id: StreamId(id(record)),
        stream_seq: 0,
    };
    let mut event = AuditEvent::new(EventId(id(record)), required, place);
    event.auth_method = AuthMethod::Stage;
    event.reason = Some(fault.code().to_owned());
    event.payload_state = PayloadState::Withheld;
    event.payload_reason = Some("undecodable".to_owned());
    event.payload_bytes = i64::try_from(record.value.len()).ok();
    event
}

/// A UUIDv8 of time, partition and offset: 48 bits of milliseconds, so that it sorts as its
/// neighbours do, 12 bits of the partition, 62 of the offset.
fn id(record: &LogRecord) -> Uuid {
    let millis = record.appended_at.0.div_euclid(1000).cast_unsigned() & 0xffff_ffff_ffff;
    let partition = u64::from(record.partition.0) & 0xfff;
    let high = (millis << 16) | partition;
    let low = record.offset.cast_unsigned() & (u64::MAX >> 2);
    let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[expect(clippy::expect_used, reason = "the texts above are not empty")]
fn said<T>(text: Result<T, trailgate_schemas::Empty>) -> T {
    text.expect("a text that is not empty")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use trailgate_schemas::Micros;

    use super::*;
    use crate::ids::LogPartition;

    fn record(partition: u32, offset: i64) -> LogRecord {
        LogRecord {
            partition: LogPartition(partition),
            offset,
            log_index: 0,
            appended_at: Micros(1_795_428_924_848_000),
            session: None,
            value: Bytes::from_static(b"secret"),
        }
    }

    #[test]
    fn one_record_is_one_event_and_two_are_two() {
        let one = undecodable(&record(1, 7), Fault::Datum);
        assert_eq!(one, undecodable(&record(1, 7), Fault::Datum));
        let others = [record(2, 7), record(1, 8)];
        assert!(others.iter().all(|o| undecodable(o, Fault::Datum).event_id != one.event_id));
        assert_eq!(one.event_id.0.get_version_num(), 8);
    }

    #[test]
    fn nothing_of_the_bytes_is_in_it() {
        let event = undecodable(&record(1, 7), Fault::Frame);
        assert!(!format!("{event:?}").contains("secret"));
        assert_eq!(event.payload_bytes, Some(6));
    }
}

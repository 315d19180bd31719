//! Events that the masker makes itself: about what is missing, and about what it could not read.

use aws_lc_rs::digest::{SHA256, digest};
use trailgate_schemas::{
    Actor, AuditEvent, AuthMethod, Empty, EventId, Kind, Micros, Outcome, PayloadState, Place,
    ProducerId, Required, Resource, SessionId, SessionRule, SourceAddress, StreamId,
};
use trailgate_topics::{Partition, Record};
use uuid::Uuid;

use crate::counters::Missing;

/// Numbers of a producer never came.
pub(crate) fn missing_numbers(
    partition: Partition,
    producer: ProducerId,
    missing: Missing,
    now: Micros,
) -> Result<AuditEvent, Empty> {
    let first = missing.first.to_be_bytes();
    let name = [b"gap".as_slice(), producer.0.as_bytes(), &partition.0.to_be_bytes(), &first];
    let mut event = own(partition, Kind::Gap, derived(&name), now)?;
    event.producer_id = producer;
    event.producer_number = missing.first;
    event.count = Some(missing.end - missing.first);
    event.reason = Some("producer_numbers_missing".to_owned());
    Ok(event)
}

/// A producer was not heard of for long, and had exchanges open.
pub(crate) fn producer_silent(
    partition: Partition,
    producer: ProducerId,
    next: i64,
    exchanges: usize,
    now: Micros,
) -> Result<AuditEvent, Empty> {
    let (partition_id, next_id) = (partition.0.to_be_bytes(), next.to_be_bytes());
    let name = [b"silent".as_slice(), producer.0.as_bytes(), &partition_id, &next_id];
    let mut event = own(partition, Kind::Gap, derived(&name), now)?;
    event.producer_id = producer;
    event.producer_number = next;
    event.count = i64::try_from(exchanges).ok();
    event.reason = Some("producer_silent".to_owned());
    Ok(event)
}

/// A record of `audit.raw` is no sealed event at all: not even its header can be told.
pub(crate) fn undecodable(record: &Record, reason: &'static str) -> Result<AuditEvent, Empty> {
    let (partition, offset) = (record.partition, record.offset.0.to_be_bytes());
    let name = [b"raw".as_slice(), &partition.0.to_be_bytes(), &offset];
    let mut event = own(partition, Kind::Undecodable, derived(&name), record.appended_at)?;
    event.reason = Some(reason.to_owned());
    event.payload_state = PayloadState::Withheld;
    event.payload_reason = Some(reason.to_owned());
    Ok(event)
}

/// The id of an event that follows from others: the same however often it is made.
pub(crate) fn derived(parts: &[&[u8]]) -> Uuid {
    let mut named = Vec::new();
    for part in parts {
        named.extend_from_slice(&(part.len() as u64).to_be_bytes());
        named.extend_from_slice(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(&SHA256, &named).as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn own(partition: Partition, kind: Kind, id: Uuid, now: Micros) -> Result<AuditEvent, Empty> {
    let required = Required {
        actor: Actor::stage("masker"),
        kind,
        gateway_time: now,
        outcome: Outcome::Unknown,
        source_address: SourceAddress::new("masker")?,
        resource: Resource::new(format!("audit.raw/{}", partition.0))?,
    };
    let place = Place {
        tenant: "default".to_owned(),
        connection: "masker".to_owned(),
        session_id: stage_session(partition),
        session_rule: SessionRule::Stage,
        stream_id: StreamId(id),
        stream_seq: 0,
    };
    let mut event = AuditEvent::new(EventId(id), required, place);
    event.auth_method = AuthMethod::Stage;
    event.stream_count = Some(1);
    event.broker_time = Some(now);
    Ok(event)
}

/// A session of the masker's own that lies on `partition`.
fn stage_session(partition: Partition) -> SessionId {
    let mut bytes = *derived(&[b"masker", &partition.0.to_be_bytes()]).as_bytes();
    bytes[..4].copy_from_slice(&partition.0.to_be_bytes());
    SessionId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maskers_own_events_stay_on_their_partition() {
        for p in 0..12 {
            assert_eq!(Partition::of_session(stage_session(Partition(p)), 12), Partition(p));
        }
    }

    #[test]
    fn the_same_gap_has_the_same_id() {
        let gap = |first| {
            let missing = Missing { first, end: first + 2 };
            missing_numbers(Partition(1), ProducerId(Uuid::from_u128(7)), missing, Micros(5))
                .map(|event| event.event_id)
        };
        assert_eq!(gap(1), gap(1));
        assert_ne!(gap(1), gap(2));
    }
}

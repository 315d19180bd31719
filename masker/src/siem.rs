//! A masked event as a record of `audit.siem`: its OCSF object, and beside it the headers of
//! CloudEvents' binary mode, by which a consumer routes without reading the object.

use bytes::Bytes;
use trailgate_schemas::{AuditEvent, ocsf_json};
use trailgate_topics::{Header, Outputs, Partition, Topic};

/// Writes the record of `event` under `key`.
pub(crate) fn write(partition: Partition, key: Bytes, event: &AuditEvent, outputs: &mut Outputs) {
    let headers = headers(event, key.clone());
    outputs.send(Topic::Siem, partition, key, ocsf_json(event).into());
    outputs.with_headers(headers);
}

/// All of them are ids, words and times of ours.
fn headers(event: &AuditEvent, session: Bytes) -> Vec<Header> {
    let own = |name, value: String| Header { name, value: value.into() };
    vec![
        Header { name: "ce_specversion", value: Bytes::from_static(b"1.0") },
        own("ce_id", event.event_id.to_string()),
        own("ce_source", format!("/trailgate/{}", event.producer_id)),
        own("ce_type", format!("io.trailgate.{}", event.kind)),
        Header { name: "ce_subject", value: session },
        own("ce_time", event.gateway_time.rfc3339()),
        Header { name: "content-type", value: Bytes::from_static(b"application/json") },
    ]
}

#[cfg(test)]
mod tests {
    use trailgate_schemas::{
        Actor, EventId, Kind, Micros, Outcome, Place, Required, Resource, SessionId, SessionRule,
        SourceAddress, StreamId,
    };
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_record_has_the_headers_of_cloudevents_binary_mode() {
        let required = Required {
            actor: Actor::unverified(),
            kind: Kind::LoginRefused,
            gateway_time: Micros(1_795_485_943_000_001),
            outcome: Outcome::Denied,
            source_address: SourceAddress::new("127.0.0.1").unwrap(),
            resource: Resource::new("agents").unwrap(),
        };
        let place = Place {
            tenant: "default".to_owned(),
            connection: "agents".to_owned(),
            session_id: SessionId(Uuid::from_u128(1)),
            session_rule: SessionRule::Connection,
            stream_id: StreamId(Uuid::from_u128(2)),
            stream_seq: 0,
        };
        let event = AuditEvent::new(EventId(Uuid::from_u128(3)), required, place);
        let told: Vec<(&str, String)> = headers(&event, Bytes::from_static(b"the session"))
            .into_iter()
            .map(|header| (header.name, String::from_utf8(header.value.to_vec()).unwrap()))
            .collect();
        let wanted = [
            ("ce_specversion", "1.0"),
            ("ce_id", "00000000-0000-0000-0000-000000000003"),
            ("ce_source", "/trailgate/00000000-0000-0000-0000-000000000000"),
            ("ce_type", "io.trailgate.login_refused"),
            ("ce_subject", "the session"),
            ("ce_time", "2026-11-24T02:05:43.000001Z"),
            ("content-type", "application/json"),
        ];
        assert_eq!(told, wanted.map(|(name, value)| (name, value.to_owned())));
    }
}

use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    AUDIT_EVENT_VERSIONS, Actor, ClaimId, EventId, Frame, HoldId, Kind, Micros, Outcome,
    PayloadState, Place, ProducerId, Redaction, Required, Resource, SEAL_VERSION,
    SEALED_EVENT_VERSIONS, SessionId, SessionRule, SourceAddress, StreamId,
};

const ID: SchemaId = SchemaId(7);

fn event() -> AuditEvent {
    let required = Required {
        actor: Actor::unverified(),
        kind: Kind::Request,
        gateway_time: Micros(1_795_428_924_848_000),
        outcome: Outcome::Allowed,
        source_address: SourceAddress::new("127.0.0.1").unwrap(),
        resource: Resource::new("agents").unwrap(),
    };
    let place = Place {
        tenant: "default".to_owned(),
        connection: "agents".to_owned(),
        session_id: SessionId(Uuid::from_u128(1)),
        session_rule: SessionRule::Thread,
        stream_id: StreamId(Uuid::from_u128(2)),
        stream_seq: 3,
    };
    let mut event = AuditEvent::new(EventId(Uuid::from_u128(4)), required, place);
    event.actor_groups = vec!["ops".to_owned()];
    event.status = Some(200);
    event.payload_state = PayloadState::Recorded;
    event.payload = Some("{\"a\":1}".to_owned());
    event.frames = vec![Frame { offset: 0, time: Micros(5) }];
    event.redactions = vec![Redaction {
        rule: "bearer".to_owned(),
        field: "payload".to_owned(),
        start: Some(3),
        count: 1,
        ..Redaction::default()
    }];
    event
}

fn sealed() -> SealedEvent {
    SealedEvent {
        seal_version: SEAL_VERSION,
        event_id: EventId(Uuid::from_u128(4)),
        kind: Kind::Response,
        session_id: SessionId(Uuid::from_u128(1)),
        stream_id: StreamId(Uuid::from_u128(2)),
        stream_seq: 3,
        producer_id: ProducerId(Uuid::from_u128(5)),
        producer_number: 6,
        gateway_time: Micros(7),
        sender_key_id: "s".to_owned(),
        opening_key_id: "o".to_owned(),
        data_key_id: "d".to_owned(),
        encapsulated_key: vec![1; 32],
        wrapped_data_key: vec![2; 48],
        nonce: 8,
        schema_id: 9,
        compression: "lz4".to_owned(),
        ciphertext: vec![0, 255, 3],
    }
}

fn reader_of_current() -> EventReader {
    let mut reader = EventReader::default();
    reader.know(ID, AUDIT_EVENT_SCHEMA).unwrap();
    reader
}

#[test]
fn an_event_reads_back_as_it_was_written() {
    let framed = EventWriter::new(ID).write(&event()).unwrap();
    assert_eq!(unframe(&framed).unwrap().0, ID);
    assert_eq!(reader_of_current().read(&framed), Ok(event()));
}

#[test]
fn a_sealed_event_reads_back_as_it_was_written() {
    let framed = SealedWriter::new(ID).write(&sealed()).unwrap();
    let mut reader = SealedReader::default();
    reader.know(ID, SEALED_EVENT_SCHEMA).unwrap();
    assert_eq!(reader.read(&framed), Ok(sealed()));
}

#[test]
fn the_newest_kept_version_is_the_one_in_use() {
    assert_eq!(AUDIT_EVENT_VERSIONS.last().unwrap().schema, AUDIT_EVENT_SCHEMA);
    assert_eq!(SEALED_EVENT_VERSIONS.last().unwrap().schema, SEALED_EVENT_SCHEMA);
}

#[test]
fn every_version_reads_every_other() {
    for versions in [AUDIT_EVENT_VERSIONS, SEALED_EVENT_VERSIONS] {
        for one in versions {
            for other in versions {
                let one = Schema::parse_str(one.schema).unwrap();
                let other = Schema::parse_str(other.schema).unwrap();
                let verdict = SchemaCompatibility::mutual_read(&one, &other);
                assert_eq!(verdict.ok(), Some(Compatibility::Full));
            }
        }
    }
}

/// The next version as a coming release might make it: one optional field more.
fn next_version() -> String {
    AUDIT_EVENT_SCHEMA.replace(
        "  \"fields\": [",
        "  \"fields\": [\n    {\"name\": \"added_later\", \"type\": [\"null\", \"string\"], \"default\": null},",
    )
}

#[test]
fn a_reader_of_today_reads_a_record_of_the_next_version() {
    let next = Schema::parse_str(&next_version()).unwrap();
    let mut value = apache_avro::types::Record::new(&next).unwrap();
    let today = Schema::parse_str(AUDIT_EVENT_SCHEMA).unwrap();
    let framed = EventWriter::new(ID).write(&event()).unwrap();
    let reader = GenericDatumReader::builder(&today).build().unwrap();
    let fields = reader.read_value(&mut &framed[5..]).unwrap();
    let apache_avro::types::Value::Record(fields) = fields else { panic!("a record") };
    for (name, field) in fields {
        value.put(&name, field);
    }
    value.put("added_later", apache_avro::types::Value::Union(1, Box::new("x".into())));
    let writer = GenericDatumWriter::builder(&next).build().unwrap();
    let datum = writer.write_value_to_vec(value).unwrap();

    let mut old = EventReader::default();
    old.know(SchemaId(8), &next_version()).unwrap();
    assert_eq!(old.read(&frame(SchemaId(8), &datum)), Ok(event()));
}

#[test]
fn a_reader_of_the_next_version_reads_a_record_of_today() {
    let next = Schema::parse_str(&next_version()).unwrap();
    let today = Schema::parse_str(AUDIT_EVENT_SCHEMA).unwrap();
    let framed = EventWriter::new(ID).write(&event()).unwrap();
    let reader = GenericDatumReader::builder(&today).reader_schema(&next).build().unwrap();
    let value = reader.read_value(&mut &framed[5..]).unwrap();
    let apache_avro::types::Value::Record(fields) = value else { panic!("a record") };
    assert_eq!(fields[0].0, "added_later");
}

/// An event as `schema`, which may lack fields of this version, has it.
fn datum_by(schema: &Schema, event: &AuditEvent) -> Vec<u8> {
    let today = Schema::parse_str(AUDIT_EVENT_SCHEMA).unwrap();
    let framed = EventWriter::new(ID).write(event).unwrap();
    let reader = GenericDatumReader::builder(&today).reader_schema(schema).build().unwrap();
    let value = reader.read_value(&mut &framed[5..]).unwrap();
    GenericDatumWriter::builder(schema).build().unwrap().write_value_to_vec(value).unwrap()
}

#[test]
fn a_record_of_any_version_reads_and_what_it_could_not_say_is_absent() {
    for version in AUDIT_EVENT_VERSIONS {
        let schema = Schema::parse_str(version.schema).unwrap();
        let datum = datum_by(&schema, &event());
        let mut reader = EventReader::default();
        reader.know(SchemaId(8), version.schema).unwrap();
        let read = reader.read(&frame(SchemaId(8), &datum));
        assert_eq!(read, Ok(event()), "version {}", version.version);
    }
}

#[test]
fn a_held_event_reads_back_and_an_older_reader_reads_the_rest_of_it() {
    let mut held = event();
    held.kind = Kind::Held;
    held.hold_id = Some(HoldId(Uuid::from_u128(8)));
    held.hold_claim = Some(ClaimId(Uuid::from_u128(9)));
    held.hold_digest = Some("ab".repeat(32));
    held.hold_reviewers = vec!["leads".to_owned()];
    held.hold_expires_at = Some(Micros(10));
    let framed = EventWriter::new(ID).write(&held).unwrap();
    assert_eq!(reader_of_current().read(&framed), Ok(held.clone()));
    let first = Schema::parse_str(AUDIT_EVENT_VERSIONS[0].schema).unwrap();
    let mut reader = EventReader::default();
    reader.know(SchemaId(8), AUDIT_EVENT_VERSIONS[0].schema).unwrap();
    let read = reader.read(&frame(SchemaId(8), &datum_by(&first, &held))).unwrap();
    assert_eq!((read.kind, read.payload, read.hold_id), (Kind::Held, held.payload, None));
}

#[test]
fn json_that_an_older_version_kept_reads() {
    let mut kept = serde_json::to_value(event()).unwrap();
    let fields = kept.as_object_mut().unwrap();
    fields.retain(|name, _| !name.starts_with("hold_"));
    assert_eq!(serde_json::from_value::<AuditEvent>(kept).unwrap(), event());
}

#[test]
fn an_unknown_schema_id_is_asked_for() {
    let framed = EventWriter::new(SchemaId(99)).write(&event()).unwrap();
    assert_eq!(reader_of_current().read(&framed), Err(AvroError::UnknownSchema(SchemaId(99))));
}

#[test]
fn bytes_behind_the_end_are_an_error() {
    let mut framed = EventWriter::new(ID).write(&event()).unwrap();
    framed.push(0);
    assert_eq!(reader_of_current().read(&framed), Err(AvroError::Trailing(1)));
}

#[test]
fn a_null_actor_can_not_be_read() {
    let mut nobody = serde_json::to_value(event()).unwrap();
    nobody["actor"] = "".into();
    assert!(serde_json::from_value::<AuditEvent>(nobody).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = reader_of_current().read(&frame(ID, &bytes));
        let _ = reader_of_current().read(&bytes);
    }

    #[test]
    fn a_record_cut_anywhere_is_an_error(cut in 0usize..200) {
        let framed = EventWriter::new(ID).write(&event()).unwrap();
        let cut = cut.min(framed.len() - 1);
        prop_assert!(reader_of_current().read(&framed[..cut]).is_err());
    }
}

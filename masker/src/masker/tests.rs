use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use trailgate_envelope::{KeysFolder, Sealer, SealingKeys, Stage};
use trailgate_redact::OwnRules;
use trailgate_schemas::{
    AUDIT_EVENT_SCHEMA, Actor, EventId, EventReader, Hold, Outcome, Place, Required, Resource,
    SEALED_EVENT_SCHEMA, SchemaId, SealedWriter, SessionRule, SourceAddress, StreamId,
};
use trailgate_service::{ManualClock, Metrics};
use trailgate_topics::{NewRecord, Offset, RegistryError, SchemaRegistry};
use uuid::Uuid;

use super::*;

mod holds;
mod recovered;
mod rules;

const SECRET: &str = "hunter2-hunter2";
const EVENT_SCHEMA: SchemaId = SchemaId(1);
const SEALED_SCHEMA: SchemaId = SchemaId(2);
const PARTITION: Partition = Partition(1);
const PARTITIONS: u32 = 8;

struct TwoSchemas;

#[async_trait]
impl SchemaRegistry for TwoSchemas {
    async fn register(&self, _subject: &str, _schema: &str) -> Result<SchemaId, RegistryError> {
        Ok(EVENT_SCHEMA)
    }

    async fn schema(&self, id: SchemaId) -> Result<String, RegistryError> {
        match id {
            EVENT_SCHEMA => Ok(AUDIT_EVENT_SCHEMA.to_owned()),
            SEALED_SCHEMA => Ok(SEALED_EVENT_SCHEMA.to_owned()),
            other => Err(RegistryError::Unknown(other)),
        }
    }
}

/// A masker, what it reads from and what it wrote; the backbone's part is played by hand.
struct Bench {
    place: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    clock: ManualClock,
    rules: Arc<OwnRules>,
    masker: Masker,
    reader: EventReader,
    next: i64,
    offset: i64,
    events: Vec<AuditEvent>,
    /// Of each event the text of its record for a SIEM.
    siem: Vec<String>,
    refused: Vec<RefusedEvent>,
    holds: Vec<Hold>,
    changelog: Vec<NewRecord>,
}

impl Bench {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let keys = KeysFolder::new(place.path());
        keys.create_missing().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let clock = ManualClock::at(Micros(1_000_000_000));
        let rules = Arc::new(OwnRules::load(&[], &[]).unwrap());
        let masker = masker(&keys, &rules, &runtime, &clock);
        let mut reader = EventReader::default();
        reader.know(EVENT_SCHEMA, AUDIT_EVENT_SCHEMA).unwrap();
        Self {
            place,
            runtime,
            clock,
            rules,
            masker,
            reader,
            next: 0,
            offset: 0,
            events: Vec::new(),
            siem: Vec::new(),
            refused: Vec::new(),
            holds: Vec::new(),
            changelog: Vec::new(),
        }
    }

    fn keys(&self) -> KeysFolder {
        KeysFolder::new(self.place.path())
    }

    /// Dies and comes back elsewhere: all it knows is its changelog.
    fn restart(&mut self) {
        self.masker = masker(&self.keys(), &self.rules, &self.runtime, &self.clock);
        for record in &self.changelog {
            self.masker.restore(PARTITION, &record.key, record.value.as_deref()).unwrap();
        }
    }

    fn seal(&self, stage: Stage, event: &AuditEvent) -> Bytes {
        let SealingKeys { sender, opening } = self.keys().load_sealing(stage).unwrap();
        self.seal_by(&Sealer::new(sender, opening, Arc::new(self.clock.clone())), event)
    }

    fn seal_by(&self, sealer: &Sealer, event: &AuditEvent) -> Bytes {
        let clear = EventWriter::new(EVENT_SCHEMA).write(event).unwrap();
        let header = trailgate_schemas::ClearHeader {
            event_id: event.event_id,
            kind: event.kind,
            session_id: event.session_id,
            stream_id: event.stream_id,
            stream_seq: event.stream_seq,
            producer_id: event.producer_id,
            producer_number: event.producer_number,
            gateway_time: event.gateway_time,
        };
        let sealed = sealer.seal(header, EVENT_SCHEMA, &clear).unwrap();
        SealedWriter::new(SEALED_SCHEMA).write(&sealed).unwrap().into()
    }

    /// Hands a value over as the next record of `audit.raw`.
    fn give(&mut self, value: Bytes) -> Flow {
        let record = Record {
            topic: Topic::Raw,
            partition: PARTITION,
            offset: Offset(self.offset),
            appended_at: self.clock.now(),
            key: Bytes::from_static(b"key"),
            value: Some(value),
        };
        let mut outputs = Outputs::default();
        let flow = self.masker.process(&record, &mut outputs).unwrap();
        if flow == Flow::Done {
            self.offset += 1;
        } else {
            assert_eq!(outputs.records(), []);
        }
        self.collect(outputs);
        flow
    }

    /// Numbers, seals and hands over an event of the gateway.
    fn take(&mut self, mut event: AuditEvent) {
        event.producer_number = self.next;
        self.next += 1;
        let value = self.seal(Stage::IngestProxy, &event);
        assert_eq!(self.give(value), Flow::Done);
    }

    fn tick(&mut self) {
        let mut outputs = Outputs::default();
        self.masker.tick(self.clock.now(), &mut outputs).unwrap();
        self.collect(outputs);
    }

    fn collect(&mut self, mut outputs: Outputs) {
        for (record, headers) in outputs.take_with_headers() {
            assert_eq!(headers.is_empty(), record.topic != Topic::Siem);
            let value = record.value.clone();
            if record.topic != Topic::Holds {
                assert_eq!(record.partition, PARTITION);
            }
            match record.topic {
                Topic::Holds => {
                    let hold: Hold = serde_json::from_slice(&value.unwrap()).unwrap();
                    let partition = Partition::of_hold(hold.hold_id, PARTITIONS);
                    assert_eq!(record.partition, partition);
                    assert_eq!(record.key.as_ref(), hold.hold_id.0.as_bytes());
                    self.holds.push(hold);
                }
                Topic::Events => {
                    let event = self.reader.read(&value.unwrap()).unwrap();
                    assert_eq!(record.key, event.session_id.to_string());
                    self.events.push(event);
                }
                Topic::Siem => self.collect_siem(&record, &headers),
                Topic::Refused => {
                    self.refused.push(RefusedEvent::from_bytes(&value.unwrap()).unwrap());
                }
                Topic::MaskerState => self.changelog.push(record),
                Topic::Raw
                | Topic::Votes
                | Topic::Claims
                | Topic::Decisions
                | Topic::Approvals
                | Topic::Spool => panic!("the masker does not write {}", record.topic.name()),
            }
        }
        assert_eq!(self.siem.len(), self.events.len());
    }

    /// A SIEM's record stands behind its event's own, and tells of the same event.
    fn collect_siem(&mut self, record: &NewRecord, headers: &[trailgate_topics::Header]) {
        let event = &self.events[self.siem.len()];
        assert_eq!(record.key, event.session_id.to_string());
        let value = record.value.as_deref().unwrap();
        let json: serde_json::Value = serde_json::from_slice(value).unwrap();
        assert_eq!(json["metadata"]["uid"], event.event_id.to_string());
        let id = headers.iter().find(|header| header.name == "ce_id").unwrap();
        assert_eq!(id.value, event.event_id.to_string());
        self.siem.push(String::from_utf8(value.to_vec()).unwrap());
    }

    /// How many keys of the changelog have a value.
    fn kept(&self) -> usize {
        let mut last = BTreeMap::new();
        for record in &self.changelog {
            last.insert(record.key.clone(), record.value.is_some());
        }
        last.values().filter(|is_kept| **is_kept).count()
    }

    fn payloads(&self) -> String {
        self.events.iter().filter_map(|event| event.payload.as_deref()).collect()
    }
}

fn masker(
    keys: &KeysFolder,
    rules: &Arc<OwnRules>,
    runtime: &tokio::runtime::Runtime,
    clock: &ManualClock,
) -> Masker {
    let opening = keys.load_opening().unwrap();
    let cleaner = Cleaner::new(Arc::clone(rules), &keys.load_token().unwrap());
    let seal = opening.own_seal();
    let registry = Arc::new(TwoSchemas);
    let reading = Reading::new(keys.clone(), opening, registry, runtime.handle().clone());
    let counts = Counts::new(&Metrics::default());
    let written = (EventWriter::new(EVENT_SCHEMA), Holds::new(PARTITIONS));
    Masker::new(reading, cleaner, written, seal, Arc::new(clock.clone()), counts)
}

fn event(kind: Kind, stream: u128, seq: i64) -> AuditEvent {
    let required = Required {
        actor: Actor::new("ada@example.com").unwrap(),
        kind,
        gateway_time: Micros(5),
        outcome: Outcome::Started,
        source_address: SourceAddress::new("127.0.0.1").unwrap(),
        resource: Resource::new("agents").unwrap(),
    };
    let place = Place {
        tenant: "default".to_owned(),
        connection: "agents".to_owned(),
        session_id: SessionId(Uuid::from_u128(1 << 96 | stream)),
        session_rule: SessionRule::Thread,
        stream_id: StreamId(Uuid::from_u128(stream)),
        stream_seq: seq,
    };
    let id = EventId(Uuid::from_u128(stream << 64 | u128::from(seq.unsigned_abs())));
    let mut event = AuditEvent::new(id, required, place);
    event.producer_id = ProducerId(Uuid::from_u128(77));
    event
}

fn piece(stream: u128, seq: i64, media_type: &str, text: &str) -> AuditEvent {
    let mut event = event(Kind::Response, stream, seq);
    event.payload_state = PayloadState::Recorded;
    event.payload_type = Some(media_type.to_owned());
    event.payload = Some(text.to_owned());
    event
}

fn closing(stream: u128, seq: i64) -> AuditEvent {
    let mut event = event(Kind::Response, stream, seq);
    event.stream_count = Some(seq + 1);
    event
}

fn heartbeat(settled_below: i64, abandoned: Vec<(i64, i64)>) -> AuditEvent {
    let beat = Heartbeat { settled_below, abandoned, parts: 1, ..Heartbeat::default() };
    let mut event = event(Kind::Heartbeat, 999, 0);
    event.payload = Some(serde_json::to_string(&beat).unwrap());
    event
}

#[test]
fn an_event_comes_out_masked_committed_to_and_dated_by_the_backbone() {
    let mut bench = Bench::new();
    let text = format!(r#"{{"password":"{SECRET}","n":1}}"#);
    bench.take(piece(1, 0, "application/json", &text));
    let masked = &bench.events[0];
    assert_eq!(masked.broker_time, Some(bench.clock.now()));
    let payload = masked.payload.as_deref().unwrap();
    assert!(payload.starts_with(r#"{"password":"[password:"#) && payload.ends_with(r#","n":1}"#));
    assert_eq!(masked.redactions.len(), 1);
    let redaction = &masked.redactions[0];
    let place = redaction.start.unwrap() as usize..redaction.end.unwrap() as usize;
    let token = &payload[place];
    assert!(token.starts_with("[password:") && token.ends_with(']'), "{token}");
    assert!(token.contains(redaction.token.as_deref().unwrap()));
    let about = [&redaction.class, &redaction.severity, &redaction.length, &redaction.action];
    assert_eq!(about.map(|word| word.as_deref().unwrap()), ["credential", "high", "9-16", "token"]);
    let mut committed = hex::decode(masked.payload_salt.as_deref().unwrap()).unwrap();
    committed.extend_from_slice(payload.as_bytes());
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &committed);
    assert_eq!(masked.payload_commitment, Some(hex::encode(hash)));
    assert_eq!(masked.actor.as_str(), "ada@example.com");
}

/// A form of a password, a picture and a text, between delimiters of `boundary`.
fn form(boundary: &str) -> Vec<u8> {
    let field = |name: &str| format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n");
    let mut body = format!("--{boundary}\r\n{}{SECRET}\r\n", field("password")).into_bytes();
    body.extend_from_slice(format!("--{boundary}\r\n{}", field("picture")).as_bytes());
    body.extend((0..=255).chain(SECRET.bytes()));
    body.extend_from_slice(
        format!("\r\n--{boundary}\r\n{}so it is\r\n--{boundary}--\r\n", field("note")).as_bytes(),
    );
    body
}

/// Its records as the gateway makes them: the head, pieces in base64 where they are no text, the end.
fn form_records(headers: &str, body: &[u8], size: usize) -> Vec<AuditEvent> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let mut head = event(Kind::Request, 1, 0);
    head.headers = Some(headers.to_owned());
    let mut records = vec![head];
    for bytes in body.chunks(size) {
        let seq = records.len() as i64;
        let mut next = match std::str::from_utf8(bytes) {
            Ok(text) => piece(1, seq, "multipart/form-data", text),
            Err(_) => piece(1, seq, "multipart/form-data;base64", &STANDARD.encode(bytes)),
        };
        next.kind = Kind::Request;
        records.push(next);
    }
    records.push(closing(1, records.len() as i64));
    records
}

#[test]
fn a_form_in_parts_is_masked_by_its_names_also_where_its_pieces_are_no_text() {
    // The detectors take this boundary for a card's number; it is read before that is masked.
    let boundary = "4111 1111 1111 1111";
    let headers = format!(r#"{{"content-type":"multipart/form-data; boundary=\"{boundary}\""}}"#);
    for size in [7, 100, 10_000] {
        let mut bench = Bench::new();
        for record in form_records(&headers, &form(boundary), size) {
            bench.take(record);
            bench.tick();
            bench.restart();
        }
        let payload = bench.payloads();
        assert!(!payload.contains(SECRET) && !payload.contains("4111"), "{payload}");
        assert!(payload.contains("[password:") && payload.contains("so it is"), "{payload}");
        assert_eq!(payload.matches("[withheld:not_text]").count(), 1, "{payload}");
        assert_eq!(bench.kept(), 1);
        for event in &bench.events {
            assert_ne!(event.payload_state, PayloadState::Withheld);
            assert!(event.payload_type.as_deref().is_none_or(|kind| kind == "multipart/form-data"));
        }
    }
}

#[test]
fn a_compressed_body_is_opened_at_its_end_and_masked() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    // `{"password":"gk3-Zq81xv","n":1}` in gzip.
    let body = STANDARD
        .decode("H4sIAAAAAAACA6tWKkgsLi7PL0pRslJKzzbWjSq0MKwoU9JRylOyMqwFAKxxfUYfAAAA")
        .unwrap();
    let headers = r#"{"content-type":"application/json","content-encoding":"gzip"}"#;
    for size in [9, 10_000] {
        let mut bench = Bench::new();
        let mut head = event(Kind::Response, 1, 0);
        head.headers = Some(headers.to_owned());
        bench.take(head);
        for bytes in body.chunks(size) {
            let seq = bench.events.len() as i64;
            bench.take(piece(1, seq, "application/json;base64", &STANDARD.encode(bytes)));
            bench.tick();
            bench.restart();
        }
        let seq = bench.events.len() as i64;
        bench.take(closing(1, seq));
        let payload = bench.payloads();
        assert!(payload.starts_with(r#"{"password":"[password:"#), "{payload}");
        assert!(payload.ends_with(r#","n":1}"#), "{payload}");
    }
}

#[test]
fn bytes_that_are_no_text_are_withheld_and_say_what_they_are() {
    let mut bench = Bench::new();
    // The marks that a PNG begins with.
    let mut picture = piece(1, 0, "image/png;base64", "iVBORw0KGgoAAAANSUhEUg==");
    picture.stream_count = Some(1);
    bench.take(picture);
    assert_eq!(bench.events[0].payload, None);
    assert_eq!(bench.events[0].payload_state, PayloadState::Withheld);
    assert_eq!(bench.events[0].payload_reason.as_deref(), Some("image"));
}

#[test]
fn a_form_that_does_not_read_as_parts_is_withheld_from_there_on() {
    let good = r#"{"content-type":"multipart/form-data; boundary=b"}"#;
    let cut: &[u8] = &form("b")[..form("b").len() - 20];
    for (headers, body) in [
        ("{}", form("b").as_slice()),
        (r#"{"content-type":["multipart/form-data; boundary=b","x/y"]}"#, &form("b")),
        (good, &form("other")),
        (good, cut),
    ] {
        for size in [7, 10_000] {
            let mut bench = Bench::new();
            for record in form_records(headers, body, size) {
                bench.take(record);
            }
            let payload = bench.payloads();
            assert!(!payload.contains(SECRET) && !payload.contains("so it is"), "{payload}");
            let is_withheld = |event: &&AuditEvent| event.payload_state == PayloadState::Withheld;
            let withheld: Vec<_> = bench.events.iter().filter(is_withheld).collect();
            assert!(!withheld.is_empty());
            for event in withheld {
                assert_eq!(event.payload, None);
                assert_eq!(event.payload_reason.as_deref(), Some("not_multipart"));
            }
        }
    }
}

#[test]
fn a_planted_secret_is_in_no_field_of_what_comes_out() {
    let mut bench = Bench::new();
    let said = || Some(format!("x password={SECRET} y"));
    let mut event = event(Kind::Response, 1, 0);
    event.actor = Actor::new(format!("password={SECRET}")).unwrap();
    event.resource = Resource::new(format!("agents GET /x?api_key={SECRET}")).unwrap();
    event.source_address = SourceAddress::new(format!("password={SECRET}")).unwrap();
    event.actor_groups = vec![format!("password={SECRET}")];
    event.risk_factors = vec![format!("password={SECRET}")];
    event.path = Some(format!("/x%2Fpassword%3D{SECRET}?a=1&token={SECRET}"));
    event.headers = Some(format!(r#"{{"x-api-key":["{SECRET}"],"cookie":"a={SECRET}"}}"#));
    event.decision_context = Some(format!(r#"{{"password":"{SECRET}"}}"#));
    for field in [
        &mut event.actor_issuer,
        &mut event.on_behalf_of,
        &mut event.workload,
        &mut event.request_id,
        &mut event.operation,
        &mut event.method,
        &mut event.error,
        &mut event.reason,
        &mut event.policy_id,
        &mut event.policy_version,
        &mut event.graph_id,
        &mut event.node,
        &mut event.checkpoint_ns,
        &mut event.cron_id,
        &mut event.trace_id,
        &mut event.span_id,
        &mut event.model,
        &mut event.payload_type,
        &mut event.payload,
    ] {
        *field = said();
    }
    event.stream_count = Some(1);
    bench.take(event);
    let shown = format!("{:?} {:?}", bench.events, bench.siem);
    assert!(!shown.contains("hunter2"), "{shown}");
    let values = bench.changelog.iter().filter_map(|record| record.value.as_deref());
    assert!(values.into_iter().all(|value| !value.windows(7).any(|part| part == b"hunter2")));
}

#[test]
fn a_number_sent_twice_is_one_event() {
    let mut bench = Bench::new();
    let value = bench.seal(Stage::IngestProxy, &event(Kind::Request, 1, 0));
    bench.give(value.clone());
    bench.give(value.clone());
    bench.tick();
    bench.restart();
    bench.give(value);
    assert_eq!(bench.events.len(), 1);
}

#[test]
fn numbers_that_never_came_are_a_gap_and_abandoned_ones_are_not() {
    let mut bench = Bench::new();
    bench.take(closing(1, 0));
    bench.next = 4;
    bench.take(closing(2, 0));
    assert_eq!(bench.events.len(), 2);
    bench.take(heartbeat(5, vec![(1, 1)]));
    let gap = &bench.events[2];
    assert_eq!((gap.kind, gap.producer_number, gap.count), (Kind::Gap, 2, Some(2)));
    assert_eq!(gap.reason.as_deref(), Some("producer_numbers_missing"));
    bench.take(heartbeat(6, vec![]));
    assert_eq!(bench.events.len(), 3, "told once, and heartbeats are no rows");
}

#[test]
fn an_opening_key_that_is_not_here_makes_the_partition_wait_and_go_on() {
    let mut bench = Bench::new();
    let elsewhere = Bench::new();
    let sender = bench.keys().load_sealing(Stage::IngestProxy).unwrap().sender;
    let opening = elsewhere.keys().load_sealing(Stage::IngestProxy).unwrap().opening;
    let sealer = Sealer::new(sender, opening, Arc::new(bench.clock.clone()));
    let value = bench.seal_by(&sealer, &event(Kind::Request, 1, 0));
    let waits = Flow::Wait { reason: "opening_key_unknown" };
    assert_eq!(bench.give(value.clone()), waits);
    assert_eq!(bench.give(value.clone()), waits);
    assert_eq!((bench.events.len(), bench.refused.len()), (0, 0));
    let name = format!("opening/{}.key", opening.id());
    std::fs::copy(elsewhere.place.path().join(&name), bench.place.path().join(&name)).unwrap();
    assert_eq!(bench.give(value), Flow::Done);
    assert_eq!(bench.events.len(), 1);
}

#[test]
fn keys_made_while_it_runs_are_found() {
    let mut bench = Bench::new();
    bench.take(event(Kind::Request, 1, 0));
    bench.keys().rotate().unwrap();
    bench.take(event(Kind::Request, 2, 0));
    assert_eq!((bench.events.len(), bench.refused.len()), (2, 0));
}

#[test]
fn a_wrong_sender_is_refused_and_nothing_of_its_header_is_believed() {
    let mut bench = Bench::new();
    let stranger = Bench::new();
    let sender = stranger.keys().load_sealing(Stage::IngestProxy).unwrap().sender;
    let opening = bench.keys().load_sealing(Stage::IngestProxy).unwrap().opening;
    let sealer = Sealer::new(sender, opening, Arc::new(bench.clock.clone()));
    let forged = event(Kind::Request, 1, 0);
    let value = bench.seal_by(&sealer, &forged);
    assert_eq!(bench.give(value.clone()), Flow::Done);
    let told = &bench.events[0];
    assert_eq!((told.kind, told.payload_state), (Kind::Undecodable, PayloadState::Withheld));
    assert_eq!(told.reason.as_deref(), Some("sender_unknown"));
    assert_ne!(told.event_id, forged.event_id);
    assert_eq!(bench.refused[0].sealed, value);
    assert_eq!(bench.refused[0].reason, "sender_unknown");
}

#[test]
fn a_stage_that_tells_of_what_is_not_its_own_is_refused_but_its_number_counts() {
    let mut bench = Bench::new();
    let mut wrong = event(Kind::Request, 1, 0);
    wrong.producer_number = 0;
    let value = bench.seal(Stage::Query, &wrong);
    bench.give(value.clone());
    bench.give(value);
    assert_eq!((bench.events.len(), bench.refused.len()), (1, 1));
    assert_eq!(bench.events[0].event_id, wrong.event_id);
    assert_eq!(bench.events[0].payload_reason.as_deref(), Some("kind_not_allowed"));
    bench.next = 1;
    bench.take(heartbeat(1, vec![]));
    assert_eq!(bench.events.len(), 1, "no gap");
}

#[test]
fn bytes_that_are_no_sealed_event_are_an_event() {
    let mut bench = Bench::new();
    for value in [&b""[..], b"hunter2", &[0, 0, 0, 0, 2, 1, 2, 3], &[0, 0, 0, 0, 9, 1]] {
        assert_eq!(bench.give(Bytes::copy_from_slice(value)), Flow::Done);
    }
    assert_eq!((bench.events.len(), bench.refused.len()), (4, 4));
    assert!(bench.events.iter().all(|event| event.kind == Kind::Undecodable));
    assert_eq!(bench.events[3].reason.as_deref(), Some("schema_unknown"));
}

#[test]
fn a_secret_that_two_pieces_share_is_masked_also_when_the_masker_dies_between_them() {
    for media_type in ["text/plain", "application/json", "text/event-stream"] {
        let mut bench = Bench::new();
        let text = match media_type {
            "application/json" => format!(r#"{{"a":"so: password={SECRET} it is"}}"#),
            "text/event-stream" => format!("data: {{\"password\":\"{SECRET}\"}}\n\n"),
            _ => format!("so: password={SECRET} it is"),
        };
        let middle = text.find(SECRET).unwrap() + 5;
        bench.take(piece(1, 0, media_type, &text[..middle]));
        bench.tick();
        bench.restart();
        bench.take(piece(1, 1, media_type, &text[middle..]));
        bench.tick();
        bench.restart();
        bench.take(closing(1, 2));
        bench.tick();
        let payloads = bench.payloads();
        assert!(payloads.contains("[password:"), "{media_type}: {payloads}");
        assert!(!payloads.contains(&SECRET[..5]) && !payloads.contains(&SECRET[5..]));
        assert_eq!(bench.events.len(), 3, "{media_type}");
        assert_eq!(bench.kept(), 1, "only the producer's counter");
    }
}

#[test]
fn a_body_that_was_closed_is_not_found_open_after_a_restart() {
    let mut bench = Bench::new();
    bench.take(piece(1, 0, "text/plain", "held back"));
    bench.tick();
    bench.take(closing(1, 1));
    bench.tick();
    bench.restart();
    bench.clock.advance(Duration::from_secs(60));
    bench.tick();
    assert_eq!(bench.events.len(), 2);
    assert_eq!(bench.payloads(), "held back");
}

#[test]
fn a_body_that_opens_and_closes_within_a_step_leaves_nothing_on_the_changelog() {
    let mut bench = Bench::new();
    bench.take(piece(1, 0, "text/plain", "held back"));
    bench.take(closing(1, 1));
    bench.tick();
    assert_eq!(bench.changelog.len(), 1, "the producer's counter");
}

#[test]
fn a_requests_tail_comes_out_with_its_last_piece() {
    let mut bench = Bench::new();
    let mut request = piece(1, 0, "text/plain", "a question");
    request.kind = Kind::Request;
    request.payload_digest = Some("00".to_owned());
    bench.take(request);
    assert_eq!(bench.events[0].payload.as_deref(), Some("a question"));
}

#[test]
fn a_tail_comes_out_masked_when_nothing_more_comes() {
    let mut bench = Bench::new();
    bench.take(piece(1, 0, "text/plain", "so: password=hunter2-hu"));
    bench.tick();
    assert_eq!(bench.payloads(), "");
    bench.clock.advance(Duration::from_secs(31));
    bench.tick();
    let tail = &bench.events[1];
    assert_eq!(tail.reason.as_deref(), Some("held_tail"));
    assert_eq!((tail.kind, tail.stream_seq), (Kind::Response, 0));
    assert!(tail.payload_commitment.is_some());
    bench.restart();
    bench.take(piece(1, 1, "text/plain", "nter2 and more"));
    bench.take(closing(1, 2));
    let payloads = bench.payloads();
    assert!(payloads.starts_with("so: password=[password:") && payloads.ends_with("] and more"));
    let ids: std::collections::BTreeSet<_> = bench.events.iter().map(|e| e.event_id).collect();
    assert_eq!(ids.len(), bench.events.len());
}

#[test]
fn who_reads_a_backlog_after_a_pause_lets_no_tail_out_early() {
    let mut bench = Bench::new();
    bench.take(piece(1, 0, "text/plain", "so: "));
    bench.tick();
    let appended = bench.clock.clone();
    bench.clock.advance(Duration::from_secs(300));
    bench.restart();
    bench.tick();
    assert_eq!(bench.events.len(), 1, "restored, but nothing read yet");
    let mut next = piece(1, 1, "text/plain", "and on");
    next.producer_number = 1;
    let record = Record {
        topic: Topic::Raw,
        partition: PARTITION,
        offset: Offset(1),
        appended_at: Micros(1_000_000_000 + 100),
        key: Bytes::new(),
        value: Some(bench.seal(Stage::IngestProxy, &next)),
    };
    let mut outputs = Outputs::default();
    bench.masker.process(&record, &mut outputs).unwrap();
    bench.collect(outputs);
    appended.advance(Duration::from_secs(1));
    bench.tick();
    assert_eq!(bench.events.len(), 2);
    bench.clock.advance(Duration::from_secs(31));
    bench.tick();
    assert_eq!(bench.events.len(), 3, "nothing more came");
}

#[test]
fn what_a_dead_producer_left_open_is_unknown_and_said_once() {
    let mut bench = Bench::new();
    bench.take(piece(1, 0, "text/plain", "half of a password=hunt"));
    bench.take(piece(2, 0, "text/plain", "all of it"));
    bench.take(closing(2, 1));
    bench.next += 2;
    bench.take(piece(3, 0, "application/json", "{}"));
    bench.tick();
    bench.clock.advance(Duration::from_secs(90));
    bench.tick();
    bench.restart();
    let told = |bench: &Bench, kind| {
        let of_kind = bench.events.iter().filter(|event| event.kind == kind);
        of_kind.map(|event| event.stream_id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(told(&bench, Kind::Unknown), []);
    bench.clock.advance(Duration::from_secs(101));
    bench.tick();
    bench.tick();
    bench.restart();
    bench.tick();
    assert_eq!(told(&bench, Kind::Unknown), [1, 3]);
    let gaps: Vec<_> = bench.events.iter().filter(|event| event.kind == Kind::Gap).collect();
    assert_eq!(gaps[0].count, Some(2), "numbers that can't come any more");
    assert_eq!((gaps[1].count, gaps.len()), (Some(2), 2));
    let unknown = bench.events.iter().find(|event| event.kind == Kind::Unknown).unwrap();
    assert_eq!(unknown.outcome, Outcome::Unknown);
    assert_eq!(unknown.session_id, piece(1, 0, "", "").session_id);
    assert!(!bench.payloads().contains("hunt"));
}

#[test]
fn a_producer_that_ends_in_order_with_exchanges_open_leaves_them_unknown_at_once() {
    let mut bench = Bench::new();
    bench.take(piece(1, 0, "application/json", "{}"));
    let mut last = heartbeat(1, vec![]);
    let beat = Heartbeat { settled_below: 1, parts: 1, is_last: true, ..Heartbeat::default() };
    last.payload = Some(serde_json::to_string(&beat).unwrap());
    bench.take(last);
    assert_eq!(bench.events.iter().filter(|event| event.kind == Kind::Unknown).count(), 1);
}

#[test]
fn a_producer_that_only_beats_is_not_silent() {
    let mut bench = Bench::new();
    bench.take(piece(1, 0, "application/json", "{}"));
    for number in 1..10 {
        bench.clock.advance(Duration::from_secs(30));
        bench.take(beat_with_open(number, &[1]));
        bench.tick();
    }
    assert_eq!(bench.events.len(), 1);
}

#[test]
fn a_producer_that_never_beats_and_falls_silent_with_nothing_open_is_no_finding() {
    let mut bench = Bench::new();
    // The approver's processor: its numbers are part of its steps, so none is ever missing.
    for number in 0..4 {
        let mut decided = event(Kind::Approved, 50 + number as u128, 0);
        (decided.stream_count, decided.producer_number) = (Some(1), number);
        decided.producer_id = ProducerId(Uuid::from_u128(78));
        let value = bench.seal(Stage::Approver, &decided);
        assert_eq!(bench.give(value), Flow::Done);
        bench.clock.advance(PRODUCER_SILENT_MAX * 3);
        bench.tick();
        bench.restart();
    }
    let kinds: Vec<Kind> = bench.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::Approved; 4]);
}

#[test]
fn an_exchange_that_its_producer_closed_without_a_record_is_unknown() {
    let mut bench = Bench::new();
    for stream in 1..4 {
        bench.take(piece(stream, 0, "application/json", "{}"));
    }
    bench.take(beat_with_open(2, &[]));
    assert_eq!(bench.events.len(), 3, "the fate of the last records is not known yet");
    bench.take(beat_with_open(4, &[1, 3]));
    let unknown = &bench.events[3];
    assert_eq!((unknown.kind, unknown.stream_id.0.as_u128()), (Kind::Unknown, 2));
    assert_eq!(unknown.reason.as_deref(), Some("end_not_recorded"));
    assert_eq!(bench.events.len(), 4);
}

fn beat_with_open(settled_below: i64, open: &[u128]) -> AuditEvent {
    let streams = open.iter().map(|id| (StreamId(Uuid::from_u128(*id)), 1)).collect();
    let beat = Heartbeat { settled_below, streams, parts: 1, ..Heartbeat::default() };
    let mut event = heartbeat(settled_below, vec![]);
    event.payload = Some(serde_json::to_string(&beat).unwrap());
    event
}

#[test]
fn open_bodies_are_bounded_and_the_oldest_comes_out_first() {
    let mut bench = Bench::new();
    let blob = "x".repeat(60_000);
    for stream in 0..300 {
        bench.clock.advance(Duration::from_millis(1));
        bench.take(piece(stream, 0, "text/plain", &blob));
    }
    bench.tick();
    let tails: Vec<_> = bench.events.iter().filter(|event| event.reason.is_some()).collect();
    assert!(tails.len() >= 20, "{}", tails.len());
    assert_eq!(tails[0].stream_id, StreamId(Uuid::from_u128(0)));
}

#[test]
fn state_that_another_masker_kept_under_a_newer_key_is_read() {
    let mut bench = Bench::new();
    bench.take(piece(1, 0, "text/plain", "so: "));
    bench.keys().rotate().unwrap();
    let newer = masker(&bench.keys(), &bench.rules, &bench.runtime, &bench.clock);
    let older = std::mem::replace(&mut bench.masker, newer);
    bench.next = 0;
    bench.take(piece(1, 0, "text/plain", "so: "));
    bench.tick();
    bench.masker = older;
    for record in &bench.changelog {
        bench.masker.restore(PARTITION, &record.key, record.value.as_deref()).unwrap();
    }
}

#[test]
fn state_that_does_not_restore_stops_the_masker() {
    let mut bench = Bench::new();
    bench.take(piece(1, 0, "text/plain", "so: "));
    bench.tick();
    for record in bench.changelog.clone() {
        let mut value = record.value.unwrap().to_vec();
        *value.last_mut().unwrap() ^= 1;
        let restored = bench.masker.restore(PARTITION, &record.key, Some(&value));
        assert_eq!(restored, Err(ProcessError::State { partition: PARTITION, code: "seal" }));
        let elsewhere = bench.masker.restore(Partition(2), &record.key, Some(&value));
        assert!(elsewhere.is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn streams_that_interleave_over_restarts_lose_nothing_and_keep_no_secret(
        cuts in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..5),
        order in any::<u64>(),
        restarts in any::<u64>(),
    ) {
        let mut bench = Bench::new();
        let text = format!("event: x\ndata: {{\"a\":\"mail ada@example.com\",\"password\":\"{SECRET}\"}}\n\ndata: end\n\n");
        let mut streams: Vec<(u128, Vec<&str>, i64)> = Vec::new();
        for (number, cuts) in cuts.iter().enumerate() {
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let pieces = places.windows(2).map(|pair| &text[pair[0]..pair[1]]).rev().collect();
            streams.push((number as u128 + 1, pieces, 0));
        }
        let (mut order, mut restarts, mut sent) = (order, restarts, 0);
        while !streams.is_empty() {
            let chosen = (order % streams.len() as u64) as usize;
            order = order.rotate_right(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let (stream, pieces, seq) = &mut streams[chosen];
            let next = match pieces.pop() {
                Some(text) => piece(*stream, *seq, "text/event-stream", text),
                None => closing(*stream, *seq),
            };
            *seq += 1;
            let is_closed = next.stream_count.is_some();
            bench.take(next);
            sent += 1;
            if is_closed {
                streams.remove(chosen);
            }
            bench.tick();
            if restarts & 1 == 1 {
                bench.restart();
            }
            restarts = restarts.rotate_right(1);
        }
        prop_assert_eq!(bench.events.len(), sent);
        let whole = bench.masker.cleaner.redactor().body(trailgate_redact::Shape::Sse, &text).text.into_owned();
        for stream in 1..=cuts.len() as u128 {
            let of_it = bench.events.iter().filter(|e| e.stream_id.0.as_u128() == stream);
            let payload: String = of_it.filter_map(|e| e.payload.as_deref()).collect();
            prop_assert_eq!(&payload, &whole);
        }
        prop_assert_eq!(bench.kept(), 1);
    }
}

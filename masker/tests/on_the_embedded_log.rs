//! The masker as it runs: sealed events in by the one way in, masked events out, over restarts.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trailgate_envelope::{KeysFolder, Sealer, SealingKeys, Stage};
use trailgate_masker::{MaskerConfig, run_on};
use trailgate_schemas::{
    AUDIT_EVENT_SCHEMA, Actor, AuditEvent, EventId, EventReader, Hold, Kind, Outcome, PayloadState,
    Place, Required, Resource, SessionId, SessionRule, SourceAddress, StreamId, unframe,
};
use trailgate_service::{Context, Ids, RandomIds};
use trailgate_topics::{
    Backbone, BackboneError, EmbeddedConfig, EmbeddedLog, Partition, RawWriter, Topic,
};

const SECRET: &str = "hunter2-hunter2";

/// Opens the log, which what ran on it before lets go a moment after its end.
async fn open(folder: &Path, context: &Context) -> Arc<dyn Backbone> {
    let config = EmbeddedConfig { folder: folder.join("log"), partitions: 3 };
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match EmbeddedLog::open(&config, Arc::clone(&context.clock)) {
            Err(BackboneError::Held { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            opened => return Arc::new(opened.unwrap()),
        }
    }
}

async fn writer(backbone: &Arc<dyn Backbone>, keys: &KeysFolder, context: &Context) -> RawWriter {
    let SealingKeys { sender, opening } = keys.load_sealing(Stage::IngestProxy).unwrap();
    let sealer = Sealer::new(sender, opening, Arc::clone(&context.clock));
    let (clock, ids) = (Arc::clone(&context.clock), Arc::clone(&context.ids));
    RawWriter::start(Arc::clone(backbone), sealer, "ingest-proxy", clock, ids).await.unwrap()
}

fn exchange(context: &Context, text: &str) -> Vec<AuditEvent> {
    let (stream, session) = (
        context.ids.stream(),
        SessionId(uuid::Uuid::from_u128(RandomIds.next().as_u128().rotate_left(64))),
    );
    let middle = text.len() / 2;
    let parts = [&text[..middle], &text[middle..]];
    let mut events: Vec<AuditEvent> = parts
        .iter()
        .enumerate()
        .map(|(seq, part)| {
            let mut event = event(context, session, stream, seq as i64);
            event.payload_state = PayloadState::Recorded;
            event.payload_type = Some("application/json".to_owned());
            event.payload = Some((*part).to_owned());
            event
        })
        .collect();
    let mut last = event(context, session, stream, 2);
    last.stream_count = Some(3);
    events.push(last);
    events
}

fn event(context: &Context, session: SessionId, stream: StreamId, seq: i64) -> AuditEvent {
    let required = Required {
        actor: Actor::new("ada").unwrap(),
        kind: Kind::Response,
        gateway_time: context.clock.now(),
        outcome: Outcome::Succeeded,
        source_address: SourceAddress::new("127.0.0.1").unwrap(),
        resource: Resource::new("agents").unwrap(),
    };
    let place = Place {
        tenant: "default".to_owned(),
        connection: "agents".to_owned(),
        session_id: session,
        session_rule: SessionRule::Thread,
        stream_id: stream,
        stream_seq: seq,
    };
    AuditEvent::new(context.ids.event(), required, place)
}

/// What is on `audit.events`, once there is this much.
async fn masked(backbone: &Arc<dyn Backbone>, count: usize) -> Vec<AuditEvent> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut reader = EventReader::default();
    let mut tail = backbone.tail(Topic::Events, &[]).await.unwrap();
    let mut events = Vec::new();
    while events.len() < count && Instant::now() < deadline {
        for record in tail.next(Duration::from_millis(200)).await.unwrap().records {
            let value = record.value.unwrap();
            reader.know(unframe(&value).unwrap().0, AUDIT_EVENT_SCHEMA).unwrap();
            events.push(reader.read(&value).unwrap());
        }
    }
    events
}

/// The events that a SIEM is told of, once each.
async fn for_a_siem(backbone: &Arc<dyn Backbone>) -> BTreeSet<String> {
    let mut tail = backbone.tail(Topic::Siem, &[]).await.unwrap();
    let mut ids = BTreeSet::new();
    loop {
        let records = tail.next(Duration::from_millis(200)).await.unwrap().records;
        if records.is_empty() {
            return ids;
        }
        for record in records {
            let json: serde_json::Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
            let is_new = ids.insert(json["metadata"]["uid"].as_str().unwrap().to_owned());
            assert!(is_new, "{json}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_comes_out_once_and_masked_over_restarts() {
    let place = tempfile::tempdir().unwrap();
    let keys = KeysFolder::new(place.path().join("keys"));
    keys.create_missing().unwrap();
    let mut sent: Vec<EventId> = Vec::new();
    for round in 0..3 {
        let context = Context::system();
        let backbone = open(place.path(), &context).await;
        backbone.ensure(Topic::ALL).await.unwrap();
        let masker = tokio::spawn(run_on(
            Arc::clone(&backbone),
            keys.clone(),
            MaskerConfig::default(),
            context.clone(),
        ));
        let writer = writer(&backbone, &keys, &context).await;
        for number in 0..100 {
            let text =
                format!(r#"{{"n":{number},"password":"{SECRET}","mail":"ada@example.com"}}"#);
            let events = exchange(&context, &text);
            sent.extend(events.iter().map(|event| event.event_id));
            writer.record_all(events).await.unwrap();
        }
        if round < 2 {
            // In the middle of it: the rest is the next one's work.
            masked(&backbone, sent.len() / 2).await;
        } else {
            writer.finish().await.unwrap();
            let events = masked(&backbone, sent.len()).await;
            let ids: BTreeSet<EventId> = events.iter().map(|event| event.event_id).collect();
            assert_eq!(ids, sent.iter().copied().collect());
            assert_eq!(events.len(), sent.len());
            assert_eq!(for_a_siem(&backbone).await, sent.iter().map(EventId::to_string).collect());
            assert!(!format!("{events:?}").contains("hunter2"));
            assert!(context.metrics.encode().contains("masker_records"));
            assert!(context.health.is_ready());
        }
        context.stop.ask();
        masker.await.unwrap().unwrap();
    }
    assert_no_secret_in(&place.path().join("log"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_lies_masked_before_those_who_decide() {
    let place = tempfile::tempdir().unwrap();
    let keys = KeysFolder::new(place.path().join("keys"));
    keys.create_missing().unwrap();
    let context = Context::system();
    let backbone = open(place.path(), &context).await;
    backbone.ensure(Topic::ALL).await.unwrap();
    let config = MaskerConfig::default();
    let masker = tokio::spawn(run_on(Arc::clone(&backbone), keys.clone(), config, context.clone()));
    let writer = writer(&backbone, &keys, &context).await;
    let mut held = exchange(&context, "").remove(0);
    held.kind = Kind::Held;
    held.stream_count = Some(1);
    held.actor_issuer = Some("https://issuer.test".to_owned());
    held.policy_id = Some("deploys".to_owned());
    held.payload_state = PayloadState::Recorded;
    held.payload_type = Some("application/json".to_owned());
    held.payload = Some(format!(r#"{{"password":"{SECRET}","amount":7}}"#));
    held.hold_id = Some(context.ids.hold());
    held.hold_claim = Some(context.ids.claim());
    held.hold_digest = Some("0a".repeat(32));
    held.hold_reviewers = vec!["leads".to_owned()];
    held.hold_expires_at = Some(context.clock.now());
    writer.record(held.clone()).await.unwrap();
    let mut tail = backbone.tail(Topic::Holds, &[]).await.unwrap();
    let mut records = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while records.is_empty() && Instant::now() < deadline {
        records = tail.next(Duration::from_millis(200)).await.unwrap().records;
    }
    let hold: Hold = serde_json::from_slice(records[0].value.as_ref().unwrap()).unwrap();
    assert_eq!((Some(hold.hold_id), Some(hold.claim)), (held.hold_id, held.hold_claim));
    assert_eq!(records[0].partition, Partition::of_hold(hold.hold_id, backbone.partitions()));
    assert!(hold.payload.unwrap().ends_with(r#","amount":7}"#));
    writer.finish().await.unwrap();
    context.stop.ask();
    masker.await.unwrap().unwrap();
    assert_no_secret_in(&place.path().join("log"));
}

fn assert_no_secret_in(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_secret_in(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
        assert!(!found, "{}", path.display());
    }
}

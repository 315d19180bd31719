//! What masking fails on, and what is sent again once that is mended.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

const FATAL: &str = "what no detector can bear";

/// A whole request.
fn whole(stream: u128, text: &str) -> AuditEvent {
    let mut whole = piece(stream, 0, "application/json", text);
    whole.kind = Kind::Request;
    whole.payload_digest = Some("00".repeat(32));
    whole
}

/// The record of a retry, as the command makes it.
fn retry(of: &AuditEvent, sealed: &[u8]) -> AuditEvent {
    let mut retry = event(Kind::PayloadRecovered, 900, 0);
    retry.actor = Actor::new("operator ann").unwrap();
    retry.session_id = of.session_id;
    retry.stream_count = Some(1);
    retry.recovers = Some(of.event_id);
    retry.payload_state = PayloadState::Recorded;
    retry.payload_type = Some("application/octet-stream;base64".to_owned());
    retry.payload = Some(STANDARD.encode(sealed));
    retry
}

impl Bench {
    /// Hands a retry over, under the operator's key and a producer of its own.
    fn retry(&mut self, mut retry: AuditEvent, number: i64) -> Flow {
        retry.producer_id = ProducerId(Uuid::from_u128(88));
        retry.producer_number = number;
        let value = self.seal(Stage::Operator, &retry);
        self.give(value)
    }
}

#[test]
fn what_masking_fails_on_is_withheld_with_all_of_its_body_behind_it() {
    let mut bench = Bench::new();
    bench.masker.cleaner.panics_on = Some(FATAL);
    bench.take(piece(1, 0, "text/plain", "so it begins, "));
    bench.take(piece(1, 1, "text/plain", &format!("{FATAL} password={SECRET}")));
    bench.tick();
    bench.restart();
    bench.take(piece(1, 2, "text/plain", &format!(" {SECRET} and on")));
    bench.take(closing(1, 3));
    bench.take(piece(2, 0, "text/plain", "another one"));
    bench.take(closing(2, 1));
    let of = |stream: u128, seq: i64| {
        let is_it = |event: &&AuditEvent| {
            event.stream_id == StreamId(Uuid::from_u128(stream)) && event.stream_seq == seq
        };
        bench.events.iter().find(is_it).unwrap()
    };
    let failed = of(1, 1);
    assert_eq!((failed.kind, failed.payload_state), (Kind::Response, PayloadState::Withheld));
    assert_eq!(failed.payload_reason.as_deref(), Some("masking_failed"));
    assert_eq!(of(1, 2).payload_state, PayloadState::Withheld, "what follows could begin within");
    assert_eq!(of(1, 2).payload, None);
    assert_eq!(of(2, 0).payload_state, PayloadState::Recorded);
    assert!(bench.payloads().contains("another one") && !bench.payloads().contains(SECRET));
    let refused: Vec<_> = bench.refused.iter().map(|refused| refused.reason.as_str()).collect();
    assert_eq!(refused, ["masking_failed"]);
    bench.tick();
    assert_eq!(bench.kept(), 1, "the producer's number alone");
}

#[test]
fn a_refused_record_that_is_sent_again_is_an_event_that_names_the_first() {
    let mut bench = Bench::new();
    bench.masker.cleaner.panics_on = Some(FATAL);
    let original = whole(1, &format!(r#"{{"why":"{FATAL}","password":"{SECRET}"}}"#));
    bench.take(original.clone());
    assert_eq!(bench.events[0].payload_reason.as_deref(), Some("masking_failed"));
    let sealed = bench.refused[0].sealed.clone();
    bench.masker.cleaner.panics_on = None;
    assert_eq!(bench.retry(retry(&original, &sealed), 0), Flow::Done);
    assert_eq!(bench.retry(retry(&original, &sealed), 0), Flow::Done, "sent twice is one event");
    assert_eq!(bench.events.len(), 2);
    let recovered = &bench.events[1];
    assert_eq!(recovered.kind, Kind::PayloadRecovered);
    assert_eq!(recovered.recovers, Some(original.event_id));
    assert_eq!(recovered.actor.as_str(), "operator ann");
    assert_eq!(recovered.on_behalf_of.as_deref(), Some("ada@example.com"));
    assert_eq!(recovered.source_time, Some(original.gateway_time));
    let payload = recovered.payload.as_deref().unwrap();
    assert!(payload.contains(FATAL) && payload.contains("[password:"), "{payload}");
    assert!(!bench.payloads().contains(SECRET));
    assert!(recovered.payload_commitment.is_some());
    assert_eq!(bench.refused.len(), 1);
}

#[test]
fn what_can_not_be_had_again_says_why_and_keeps_nobody_waiting() {
    let mut bench = Bench::new();
    let mut middle = piece(1, 1, "text/plain", &format!("{SECRET} is its end"));
    middle.body_offset = Some(40);
    let inner = retry(&middle, b"x");
    let mut elsewhere = whole(1, "{}");
    elsewhere.session_id = SessionId(Uuid::from_u128(5));
    let originals = [
        (middle.clone(), bench.seal(Stage::IngestProxy, &middle), "piece_of_a_body"),
        (middle.clone(), Bytes::from_static(b"nothing"), "sealed_undecodable"),
        (middle.clone(), bench.seal(Stage::Operator, &inner), "kind_not_allowed"),
        (middle.clone(), bench.seal(Stage::IngestProxy, &elsewhere), "header_differs"),
        (middle.clone(), bench.seal(Stage::Operator, &whole(1, "{}")), "kind_not_allowed"),
    ];
    for (number, (of, sealed, reason)) in originals.into_iter().enumerate() {
        assert_eq!(bench.retry(retry(&of, &sealed), number as i64), Flow::Done);
        let told = bench.events.last().unwrap();
        assert_eq!((told.kind, told.outcome), (Kind::PayloadRecovered, Outcome::Failed));
        assert_eq!(told.payload_reason.as_deref(), Some(reason));
        assert_eq!((told.payload.as_deref(), told.recovers), (None, Some(middle.event_id)));
    }
    // One whose opening key was lost: a record that comes by itself waits for it, this one does not.
    let foreign = tempfile::tempdir().unwrap();
    let keys = KeysFolder::new(foreign.path());
    keys.create_missing().unwrap();
    let lost = keys.load_sealing(Stage::IngestProxy).unwrap();
    let sender = bench.keys().load_sealing(Stage::IngestProxy).unwrap().sender;
    let sealer = Sealer::new(sender, lost.opening, Arc::new(bench.clock.clone()));
    let sealed = bench.seal_by(&sealer, &whole(1, "{}"));
    assert_eq!(bench.retry(retry(&middle, &sealed), 5), Flow::Done);
    let told = bench.events.last().unwrap();
    assert_eq!(told.payload_reason.as_deref(), Some("opening_key_unknown"));
    assert!(bench.events.iter().all(|event| !format!("{event:?}").contains(SECRET)));
}

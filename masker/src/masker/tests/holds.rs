//! What the masker makes of operations that wait for a person.

use trailgate_schemas::{ClaimId, HoldId};

use super::*;

/// An operation that waits for a person.
fn held(stream: u128, text: &str) -> AuditEvent {
    let mut event = event(Kind::Held, stream, 1);
    event.outcome = Outcome::Interrupted;
    event.actor_issuer = Some("https://issuer.test".to_owned());
    event.path = Some(format!("/deploy?password={SECRET}"));
    event.headers = Some(format!(r#"{{"x-note":"password={SECRET}"}}"#));
    event.policy_id = Some("deploys".to_owned());
    event.policy_version = Some("00112233445566778899aabbccddeeff".to_owned());
    event.payload_state = PayloadState::Recorded;
    event.payload_type = Some("application/json".to_owned());
    event.payload = Some(text.to_owned());
    event.payload_bytes = i64::try_from(text.len()).ok();
    event.hold_id = Some(HoldId(Uuid::from_u128(7 << 64 | stream)));
    event.hold_claim = Some(ClaimId(Uuid::from_u128(8)));
    event.hold_digest = Some("0123456789abcdef".repeat(4));
    event.hold_reviewers = vec!["leads".to_owned()];
    event.hold_expires_at = Some(Micros(9));
    event
}

#[test]
fn a_held_operation_reaches_reviewers_masked_in_the_step_that_writes_its_event() {
    let mut bench = Bench::new();
    let mut sent = held(1, &format!(r#"{{"token":"{SECRET}","amount":7}}"#));
    sent.producer_number = bench.next;
    let record = Record {
        topic: Topic::Raw,
        partition: PARTITION,
        offset: Offset(0),
        appended_at: bench.clock.now(),
        key: Bytes::from_static(b"key"),
        value: Some(bench.seal(Stage::IngestProxy, &sent)),
    };
    let mut outputs = Outputs::default();
    assert_eq!(bench.masker.process(&record, &mut outputs), Ok(Flow::Done));
    let topics: Vec<Topic> = outputs.records().iter().map(|record| record.topic).collect();
    assert_eq!(topics, [Topic::Holds, Topic::Events, Topic::Siem]);
    bench.collect(outputs);

    let (hold, row) = (&bench.holds[0], &bench.events[0]);
    assert_eq!(Some(hold.hold_id), sent.hold_id);
    assert_eq!(hold.requester.subject, "ada@example.com");
    assert_eq!((&hold.reviewers, hold.expires_at), (&sent.hold_reviewers, Micros(9)));
    assert_eq!(hold.rule, "deploys");
    assert_eq!(Some(&hold.rule_version), sent.policy_version.as_ref());
    assert_eq!(Some(&hold.digest), sent.hold_digest.as_ref());
    assert_eq!(hold.payload, row.payload);
    assert!(hold.payload.as_deref().unwrap().ends_with(r#","amount":7}"#));
    assert!(hold.redactions >= 3 && !hold.truncated);
    assert!(!format!("{hold:?}{row:?}").contains(SECRET), "{hold:?}");
    assert_eq!(row.hold_digest, sent.hold_digest);
}

#[test]
fn a_secret_that_the_end_of_a_shown_body_cuts_in_two_is_not_shown_in_part() {
    let whole = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    for text in [
        format!(r#"{{"note":"{}{}"#, "x ".repeat(3000), &whole[..30]),
        format!(r#"{{"password":"{}"#, &SECRET[..9]),
    ] {
        let mut bench = Bench::new();
        let mut event = held(1, &text);
        event.truncated = true;
        event.payload_bytes = Some(100_000);
        bench.take(event);
        let payload = bench.holds[0].payload.as_deref().unwrap();
        let parts = [&whole[..12], &SECRET[..9]];
        assert!(parts.iter().all(|part| !payload.contains(part)), "{payload}");
        assert!(bench.holds[0].truncated);
    }
}

#[test]
fn a_held_operation_that_nobody_can_decide_about_is_still_an_event() {
    let mut bench = Bench::new();
    let mut event = held(1, "{}");
    event.hold_claim = None;
    bench.take(event);
    assert_eq!((bench.holds.len(), bench.events.len()), (0, 1));
    assert_eq!(bench.events[0].kind, Kind::Held);
}

#[test]
fn a_held_operation_that_was_sent_twice_is_shown_once() {
    let mut bench = Bench::new();
    let event = held(1, "{}");
    let value = bench.seal(Stage::IngestProxy, &event);
    bench.give(value.clone());
    bench.give(value);
    assert_eq!((bench.holds.len(), bench.events.len()), (1, 1));
}

#[test]
fn what_stands_in_the_place_of_a_digest_is_masked() {
    let mut bench = Bench::new();
    let mut event = held(1, "{}");
    event.hold_digest = Some(format!("password={SECRET}"));
    bench.take(event);
    assert!(!format!("{:?}{:?}", bench.holds, bench.events).contains(SECRET));
}

#[test]
fn a_hold_too_long_to_show_is_shown_without_its_payload_and_says_so() {
    let mut bench = Bench::new();
    let mut event = held(1, "");
    event.payload_type = Some("text/plain".to_owned());
    // JSON writes each as six bytes.
    event.payload = Some("\u{1}".repeat(100_000));
    bench.take(event);
    let hold = &bench.holds[0];
    assert_eq!((hold.payload.as_ref(), hold.truncated), (None, true));
    assert_eq!(hold.payload_reason.as_deref(), Some("too_long"));
}

#[test]
fn what_an_older_masker_kept_is_gone_on_with() {
    let mut bench = Bench::new();
    bench.take(piece(1, 0, "text/plain", "password=hun"));
    bench.tick();
    assert!(bench.kept() > 0);
    let seal = bench.masker.reading.own_seal();
    bench.changelog = bench.changelog.iter().map(|record| older(record, &seal)).collect();
    bench.restart();
    bench.take(closing(1, 1));
    assert_eq!(bench.events.last().unwrap().stream_count, Some(2));
}

/// A kept value as a version that knew no holds wrote it.
fn older(record: &NewRecord, seal: &OwnSeal) -> NewRecord {
    let Some(value) = &record.value else { return record.clone() };
    let (length, rest) = value.split_first_chunk::<4>().unwrap();
    let (name, sealed) = rest.split_at(u32::from_be_bytes(*length) as usize);
    let place = [b"audit.masker-state/".as_slice(), &PARTITION.0.to_be_bytes(), name].concat();
    let clear = seal.open(&place, sealed).unwrap();
    let mut kept: serde_json::Value = serde_json::from_slice(&clear).unwrap();
    for event in ["first", "last"] {
        if let Some(event) = kept.get_mut(event).and_then(serde_json::Value::as_object_mut) {
            event.retain(|field, _| !field.starts_with("hold_"));
        }
    }
    let sealed = seal.seal(&place, &serde_json::to_vec(&kept).unwrap()).unwrap();
    let value = [&value[..4], name, &sealed].concat();
    NewRecord { value: Some(value.into()), ..record.clone() }
}

#[test]
fn a_held_body_that_is_compressed_or_in_parts_is_opened_for_reviewers() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use std::io::Write as _;

    let clear = format!(r#"{{"password":"{SECRET}","amount":7}}"#);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(clear.as_bytes()).unwrap();
    let mut bench = Bench::new();
    let mut compressed = held(1, &STANDARD.encode(gzip.finish().unwrap()));
    compressed.payload_type = Some("application/json;base64".to_owned());
    compressed.headers =
        Some(r#"{"content-type":"application/json","content-encoding":"gzip"}"#.to_owned());
    bench.take(compressed);
    let field = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let form = field("password", SECRET) + &field("note", "so it is") + "--b--\r\n";
    let mut parts = held(2, &form);
    parts.payload_type = Some("multipart/form-data".to_owned());
    parts.headers = Some(r#"{"content-type":"multipart/form-data; boundary=b"}"#.to_owned());
    bench.take(parts);
    let shown: Vec<_> = bench.holds.iter().map(|hold| hold.payload.as_deref().unwrap()).collect();
    assert!(shown[0].ends_with(r#","amount":7}"#) && shown[1].contains("so it is"), "{shown:?}");
    assert!(shown.iter().all(|text| text.contains("[password:") && !text.contains(SECRET)));

    let mut picture = held(3, &STANDARD.encode([0, 159, 146, 150]));
    picture.payload_type = Some("image/png;base64".to_owned());
    bench.take(picture);
    let hold = bench.holds.last().unwrap();
    assert_eq!(
        (hold.payload.as_deref(), hold.truncated),
        (None, true),
        "less is shown than is held"
    );
}

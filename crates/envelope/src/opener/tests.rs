use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use trailgate_schemas::{
    ClearHeader, EventId, Kind, Micros, ProducerId, SchemaId, SealedEvent, SessionId, StreamId,
};
use trailgate_service::ManualClock;
use uuid::Uuid;

use super::*;
use crate::limits::CLEAR_MAX_BYTES;
use crate::secret::Secret;
use crate::{SealError, Sealer};

fn pair(byte: u8) -> PrivateKey {
    PrivateKey::new(Secret::new([byte; 32]))
}

fn header(kind: Kind, producer: u128) -> ClearHeader {
    ClearHeader {
        event_id: EventId(Uuid::from_u128(1)),
        kind,
        session_id: SessionId(Uuid::from_u128(2)),
        stream_id: StreamId(Uuid::from_u128(3)),
        stream_seq: 0,
        producer_id: ProducerId(Uuid::from_u128(producer)),
        producer_number: 7,
        gateway_time: Micros(5),
    }
}

fn sealer(clock: &ManualClock) -> Sealer {
    Sealer::new(pair(1), *pair(9).public(), Arc::new(clock.clone()))
}

fn opener() -> Opener {
    let senders = [(1, Stage::IngestProxy), (2, Stage::Query)];
    let senders =
        senders.map(|(byte, stage)| KnownSender { stage, key: *pair(byte).public() }).to_vec();
    Opener::new(vec![pair(9)], senders)
}

fn sealed(clear: &[u8]) -> SealedEvent {
    let clock = ManualClock::default();
    sealer(&clock).seal(header(Kind::Request, 4), SchemaId(11), clear).unwrap()
}

#[test]
fn what_was_sealed_opens_with_its_sender_and_schema() {
    let opened = opener().open(&sealed(b"clear")).unwrap();
    let expected = OpenedEvent {
        clear: b"clear".to_vec(),
        schema_id: SchemaId(11),
        sender: Stage::IngestProxy,
    };
    assert_eq!(opened, expected);
}

#[test]
fn nothing_clear_is_left_in_a_sealed_event() {
    let secret = b"sk-live-0123456789";
    let ciphertext = sealed(secret).ciphertext;
    assert!(!ciphertext.windows(8).any(|window| secret.windows(8).any(|part| part == window)));
}

#[test]
fn any_changed_field_of_the_header_breaks_the_seal() {
    let changes: [fn(&mut SealedEvent); 15] = [
        |s| s.event_id = EventId(Uuid::from_u128(99)),
        |s| s.kind = Kind::Response,
        |s| s.session_id = SessionId(Uuid::from_u128(99)),
        |s| s.stream_id = StreamId(Uuid::from_u128(99)),
        |s| s.stream_seq += 1,
        |s| s.producer_id = ProducerId(Uuid::from_u128(99)),
        |s| s.producer_number += 1,
        |s| s.gateway_time = Micros(6),
        |s| s.sender_key_id = pair(2).id().to_string(),
        |s| s.data_key_id.push('0'),
        |s| s.encapsulated_key[3] ^= 1,
        |s| s.wrapped_data_key[3] ^= 1,
        |s| s.nonce += 1,
        |s| s.schema_id += 1,
        |s| s.compression = "lz4".to_owned(),
    ];
    let mut opener = opener();
    let whole = sealed(b"clear");
    for (number, change) in changes.iter().enumerate() {
        let mut changed = whole.clone();
        change(&mut changed);
        assert_eq!(opener.open(&changed), Err(OpenError::Forged), "change {number}");
    }
    assert!(opener.open(&whole).is_ok());
}

#[test]
fn an_unknown_opening_key_asks_to_wait_and_an_unknown_sender_is_named() {
    let sealed = sealed(b"clear");
    let mut other = Opener::new(vec![pair(8)], vec![]);
    assert_eq!(other.open(&sealed), Err(OpenError::UnknownOpeningKey(pair(9).id())));
    let mut nobody = Opener::new(vec![pair(9)], vec![]);
    assert_eq!(nobody.open(&sealed), Err(OpenError::UnknownSender(pair(1).id())));
}

#[test]
fn a_stage_can_not_tell_of_what_is_not_its_own() {
    let clock = Arc::new(ManualClock::default());
    let query = Sealer::new(pair(2), *pair(9).public(), clock);
    let sealed = query.seal(header(Kind::Request, 4), SchemaId(1), b"x").unwrap();
    let refused = OpenError::KindNotAllowed { stage: Stage::Query, kind: Kind::Request };
    assert_eq!(opener().open(&sealed), Err(refused));
}

#[test]
fn a_sender_can_not_pass_for_another_whose_public_key_it_knows() {
    let clock = Arc::new(ManualClock::default());
    let query = Sealer::new(pair(2), *pair(9).public(), clock);
    let mut sealed = query.seal(header(Kind::Request, 4), SchemaId(1), b"x").unwrap();
    sealed.sender_key_id = pair(1).id().to_string();
    assert_eq!(opener().open(&sealed), Err(OpenError::Forged));
}

#[test]
fn a_data_key_serves_one_producer_for_a_minute_and_no_nonce_twice() {
    let clock = ManualClock::at(Micros(1_000_000));
    let sealer = sealer(&clock);
    let seal = |producer| sealer.seal(header(Kind::Request, producer), SchemaId(1), b"x").unwrap();
    let (first, second) = (seal(4), seal(4));
    assert_eq!(first.data_key_id, second.data_key_id);
    assert_ne!(first.nonce, second.nonce);
    assert_ne!(seal(5).data_key_id, first.data_key_id);
    let before = seal(4);
    clock.advance(Duration::from_secs(60));
    assert_ne!(seal(4).data_key_id, before.data_key_id);
}

#[test]
fn what_is_too_long_is_not_sealed() {
    let clock = ManualClock::default();
    let clear = vec![0; CLEAR_MAX_BYTES + 1];
    let refused = sealer(&clock).seal(header(Kind::Request, 4), SchemaId(1), &clear);
    assert!(matches!(refused, Err(SealError::TooLong { .. })));
    // What is sent again carries a sealed original, and no more.
    let again = || header(Kind::PayloadRecovered, 4);
    let sealed = sealer(&clock).seal(again(), SchemaId(1), &clear).unwrap();
    let senders = vec![KnownSender { stage: Stage::Operator, key: *pair(1).public() }];
    let opened = Opener::new(vec![pair(9)], senders).open(&sealed).unwrap();
    assert_eq!(opened.clear.len(), clear.len());
    let refused = sealer(&clock).seal(again(), SchemaId(1), &vec![0; 2 * CLEAR_MAX_BYTES + 1]);
    assert!(matches!(refused, Err(SealError::TooLong { .. })));
}

#[test]
fn other_versions_and_malformed_headers_are_told_apart() {
    let mut later = sealed(b"x");
    later.seal_version = 2;
    assert_eq!(opener().open(&later), Err(OpenError::Version(2)));
    let mut bad = sealed(b"x");
    bad.sender_key_id = "me".to_owned();
    assert_eq!(opener().open(&bad), Err(OpenError::Malformed { field: "sender_key_id" }));
    let mut negative = sealed(b"x");
    negative.nonce = -1;
    assert_eq!(opener().open(&negative), Err(OpenError::Forged));
}

#[test]
fn the_cache_of_data_keys_is_bounded_and_keeps_those_in_use() {
    let clock = Arc::new(ManualClock::default());
    let sealer = Sealer::new(pair(1), *pair(9).public(), clock);
    let mut opener = opener();
    let kept = sealer.seal(header(Kind::Request, 1), SchemaId(1), b"x").unwrap();
    for number in 0..40u8 {
        let name = Opened {
            wrapped: [number; 32],
            opening: pair(9).id(),
            sender: pair(1).id(),
            producer: [0; 16],
        };
        for copy in 0..40u8 {
            let name = Opened { producer: [copy; 16], ..name };
            let key = opener.data_key(&kept).unwrap().0;
            opener.opened.keep(name, key);
        }
        assert!(opener.opened.keys.len() <= OPENED_KEYS);
    }
    let (wrapped, sender) = (
        Wrapped {
            encapsulated: kept.encapsulated_key.clone(),
            ciphertext: kept.wrapped_data_key.clone(),
        },
        pair(1).id(),
    );
    let name = Opened {
        wrapped: wrapped.digest(),
        opening: pair(9).id(),
        sender,
        producer: *kept.producer_id.0.as_bytes(),
    };
    assert!(opener.opened.find(&name).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_come_back_and_any_flipped_bit_is_seen(
        clear in proptest::collection::vec(any::<u8>(), 0..2000),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut sealed = sealed(&clear);
        let mut opener = opener();
        prop_assert_eq!(&opener.open(&sealed).unwrap().clear, &clear);
        let at = at.index(sealed.ciphertext.len());
        sealed.ciphertext[at] ^= 1 << bit;
        prop_assert_eq!(opener.open(&sealed), Err(OpenError::Forged));
    }
}

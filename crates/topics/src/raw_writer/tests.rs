use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use trailgate_envelope::{KnownSender, Opener, PrivateKey, Secret, Stage};
use trailgate_schemas::{
    Actor, EventReader, Kind, Micros, Outcome, Place, Required, Resource, SealedReader, SessionId,
    SessionRule, SourceAddress, StreamId,
};
use trailgate_service::{RandomIds, SystemClock};
use uuid::Uuid;

use super::heartbeat::Occasion;
use super::*;
use crate::config::EmbeddedConfig;
use crate::embedded::EmbeddedLog;

const PARTITIONS: u32 = 3;

fn pair(byte: u8) -> PrivateKey {
    PrivateKey::new(Secret::new([byte; 32]))
}

fn sealer() -> Sealer {
    Sealer::new(pair(1), *pair(9).public(), Arc::new(SystemClock))
}

async fn log(folder: &Path) -> Arc<EmbeddedLog> {
    let config = EmbeddedConfig { folder: folder.to_owned(), partitions: PARTITIONS };
    let log = Arc::new(EmbeddedLog::open(&config, Arc::new(SystemClock)).unwrap());
    log.ensure(Topic::ALL).await.unwrap();
    log
}

async fn writer(log: &Arc<EmbeddedLog>) -> RawWriter {
    let log: Arc<dyn Backbone> = Arc::<EmbeddedLog>::clone(log);
    let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds));
    RawWriter::start(log, sealer(), "ingest-proxy", clock, ids).await.unwrap()
}

/// An event of a session on `partition`, of stream `stream`.
fn event(partition: u32, stream: u128, seq: i64, count: Option<i64>) -> AuditEvent {
    let required = Required {
        actor: Actor::new("ada").unwrap(),
        kind: Kind::Request,
        gateway_time: Micros(5),
        outcome: Outcome::Allowed,
        source_address: SourceAddress::new("127.0.0.1").unwrap(),
        resource: Resource::new("agents").unwrap(),
    };
    let session = u128::from(partition) << 96 | stream;
    let place = Place {
        tenant: "default".to_owned(),
        connection: "agents".to_owned(),
        session_id: SessionId(Uuid::from_u128(session)),
        session_rule: SessionRule::Thread,
        stream_id: StreamId(Uuid::from_u128(stream)),
        stream_seq: seq,
    };
    let mut event = AuditEvent::new(RandomIds.event(), required, place);
    event.stream_count = count;
    event
}

/// What is in `audit.raw`, opened, by partition.
async fn opened(log: &Arc<EmbeddedLog>) -> BTreeMap<Partition, Vec<AuditEvent>> {
    let sender = KnownSender { stage: Stage::IngestProxy, key: *pair(1).public() };
    let mut opener = Opener::new(vec![pair(9)], vec![sender]);
    let (mut sealed_reader, mut reader) = (SealedReader::default(), EventReader::default());
    let mut tail = log.tail(Topic::Raw, &[]).await.unwrap();
    let mut opened: BTreeMap<_, Vec<_>> = BTreeMap::new();
    loop {
        let batch = tail.next(Duration::ZERO).await.unwrap();
        for record in batch.records {
            let value = record.value.unwrap();
            let (id, _) = trailgate_schemas::unframe(&value).unwrap();
            sealed_reader.know(id, &log.registry().schema(id).await.unwrap()).unwrap();
            let sealed = sealed_reader.read(&value).unwrap();
            assert_eq!(record.key, sealed.session_id.to_string());
            let inside = opener.open(&sealed).unwrap();
            let schema = log.registry().schema(inside.schema_id).await.unwrap();
            reader.know(inside.schema_id, &schema).unwrap();
            let event = reader.read(&inside.clear).unwrap();
            assert_eq!(event.producer_number, sealed.producer_number);
            opened.entry(record.partition).or_default().push(event);
        }
        if batch.ends.iter().all(|end| end.caught_up_at.is_some()) {
            return opened;
        }
    }
}

fn numbers(events: &[AuditEvent]) -> Vec<i64> {
    events.iter().map(|event| event.producer_number).collect()
}

async fn soon(mut is_so: impl AsyncFnMut() -> bool) {
    let tries = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), tries).await.expect("soon");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_dense_in_the_log_whoever_records_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path()).await;
    let writer = writer(&log).await;
    let tasks = (0..8).map(|stream| {
        let writer = writer.clone();
        tokio::spawn(async move {
            for seq in 0..25 {
                let count = (seq == 24).then_some(25);
                writer.record(event(stream as u32 % 3, stream, seq, count)).await.unwrap();
            }
        })
    });
    futures::future::try_join_all(tasks).await.unwrap();
    let opened = opened(&log).await;
    assert_eq!(opened.values().map(Vec::len).sum::<usize>(), 200);
    for (partition, events) in opened {
        assert_eq!(numbers(&events), (0..events.len() as i64).collect::<Vec<_>>());
        for event in events {
            assert_eq!(event.producer_id, writer.producer());
            assert_eq!(Partition::of_session(event.session_id, PARTITIONS), partition);
            assert_eq!(event.actor.as_str(), "ada");
        }
    }
}

#[tokio::test]
async fn several_are_recorded_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path()).await;
    let writer = writer(&log).await;
    writer.record_all((0..10).map(|seq| event(0, 1, seq, None))).await.unwrap();
    let opened = &opened(&log).await[&Partition(0)];
    let seqs: Vec<i64> = opened.iter().map(|event| event.stream_seq).collect();
    assert_eq!(seqs, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn at_its_end_each_partition_that_was_written_has_a_heartbeat_that_counts() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path()).await;
    let writer = writer(&log).await;
    for seq in 0..4 {
        writer.record(event(1, 1, seq, None)).await.unwrap();
    }
    // Whoever drops a recording does not lose the record.
    drop(writer.record(event(2, 2, 0, Some(1))));
    writer.clone().finish().await.unwrap();
    writer.clone().finish().await.unwrap();
    let after = writer.record(event(1, 1, 4, None)).await;
    assert_eq!(after, Err(RecordError::NotNow(AppendError::Closed)));

    let opened = opened(&log).await;
    assert_eq!(opened.keys().copied().collect::<Vec<_>>(), [Partition(1), Partition(2)]);
    let last = opened[&Partition(1)].last().unwrap();
    assert_eq!((last.kind, last.producer_number, last.count), (Kind::Heartbeat, 4, Some(5)));
    assert_eq!(last.session_rule, SessionRule::Stage);
    let said = Heartbeat::of(last).unwrap();
    let streams = BTreeMap::from([(StreamId(Uuid::from_u128(1)), 4)]);
    let expected =
        Heartbeat { streams, settled_below: 4, parts: 1, is_last: true, ..Heartbeat::default() };
    assert_eq!(said, expected);
    let last = opened[&Partition(2)].last().unwrap();
    assert_eq!((last.kind, last.count, last.stream_count), (Kind::Heartbeat, Some(2), Some(1)));
    assert_eq!(
        Heartbeat::of(last).unwrap().streams,
        BTreeMap::new(),
        "a closed stream is not open"
    );
}

#[tokio::test]
async fn what_was_abandoned_is_told_until_it_is_recorded_and_nothing_else_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path()).await;
    let writer = writer(&log).await;
    writer.record(event(0, 1, 0, None)).await.unwrap();
    log.allow_pages(1);
    let mut big = event(0, 1, 1, None);
    // Random enough that it stays long under compression.
    big.payload = Some((0..4_000).map(|_| RandomIds.next().to_string()).collect());
    soon(async || writer.record(big.clone()).await.is_err()).await;
    let refused = writer.record(event(0, 1, 2, None)).await;
    assert_eq!(refused, Err(RecordError::NotNow(AppendError::Failed)));
    drop(writer.record(event(0, 1, 2, None)));
    assert!(writer.0.beat(Occasion::Time).await.is_err());
    log.allow_pages(0);
    soon(async || log.ping(Duration::from_secs(10)).await.is_ok()).await;
    writer.record(event(0, 1, 2, None)).await.unwrap();
    // The task may have told it already; then nothing is left for this one.
    writer.0.beat(Occasion::Abandoned).await.unwrap();
    writer.finish().await.unwrap();

    let events = &opened(&log).await[&Partition(0)];
    let told: Vec<i64> = events
        .iter()
        .filter_map(Heartbeat::of)
        .flat_map(|heartbeat| heartbeat.abandoned)
        .flat_map(|(first, last)| first..=last)
        .collect();
    assert!(told.len() >= 4, "two events, a dropped one and a heartbeat: {told:?}");
    let mut all = [numbers(events), told].concat();
    all.sort_unstable();
    let count = events.last().unwrap().count.unwrap();
    assert_eq!(
        all,
        (0..count).collect::<Vec<_>>(),
        "each is in the log or was abandoned, never both"
    );
    assert!(Heartbeat::of(events.last().unwrap()).unwrap().abandoned.is_empty(), "told once");
}

#[tokio::test]
async fn an_event_that_was_certainly_not_taken_uses_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path()).await;
    let writer = writer(&log).await;
    let mut long = event(0, 1, 0, None);
    long.payload = Some("x".repeat(trailgate_envelope::CLEAR_MAX_BYTES));
    assert_eq!(writer.record(long).await, Err(RecordError::TooLong));
    writer.record(event(0, 1, 0, None)).await.unwrap();
    assert_eq!(numbers(&opened(&log).await[&Partition(0)]), [0]);
}

/// Takes every third record only.
struct Crowded(Arc<dyn Appender>, AtomicUsize);

impl Appender for Crowded {
    fn append(&self, record: NewRecord) -> Ack {
        match self.1.fetch_add(1, Ordering::SeqCst) % 3 {
            0 => self.0.append(record),
            _ => Ack::refused(AppendError::Full),
        }
    }
}

#[tokio::test]
async fn a_crowded_backbone_leaves_no_hole_and_stops_a_row_of_events() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path()).await;
    let mut shared = Arc::into_inner(writer(&log).await.0).unwrap();
    shared.appender = Arc::new(Crowded(Arc::clone(&shared.appender), AtomicUsize::new(0)));
    let writer = RawWriter(Arc::new(shared));
    for _ in 0..3 {
        let row = writer.record_all((0..5).map(|seq| event(0, 1, seq, None))).await;
        assert_eq!(row, Err(RecordError::NotNow(AppendError::Full)));
        let one = writer.record(event(0, 1, 9, None)).await;
        assert_eq!(one, Err(RecordError::NotNow(AppendError::Full)));
    }
    let events = &opened(&log).await[&Partition(0)];
    assert_eq!(numbers(events), [0, 1, 2]);
    assert!(events.iter().all(|event| event.stream_seq == 0), "none behind one that was refused");
}

#[tokio::test]
async fn many_open_streams_are_told_in_parts_and_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path()).await;
    let writer = writer(&log).await;
    for first in (0..2_500).step_by(500) {
        let row = (first..first + 500).map(|stream| event(0, stream, 0, None));
        writer.record_all(row).await.unwrap();
    }
    writer.0.beat(Occasion::Time).await.unwrap();
    let events = &opened(&log).await[&Partition(0)];
    let beats: Vec<Heartbeat> = events.iter().filter_map(Heartbeat::of).collect();
    let parts: Vec<_> =
        beats.iter().map(|beat| (beat.part, beat.parts, beat.streams.len())).collect();
    assert_eq!(parts, [(0, 3, 1_000), (1, 3, 1_000), (2, 3, 500)]);
    assert!(beats.iter().all(|beat| beat.settled_below == 2_500 && !beat.is_last));

    let mut crowd = Numbers::default();
    for stream in 0..crate::limits::OPEN_STREAMS as u128 {
        crowd.used(&event(0, stream, 0, None));
    }
    let full = Err(RecordError::NotNow(AppendError::Full));
    assert_eq!(crowd.room_for(&event(0, u128::MAX >> 32, 0, None)), full);
    assert_eq!(crowd.room_for(&event(0, 7, 1, None)), Ok(()), "one that is open goes on");
}

#[test]
fn no_part_of_a_heartbeat_calls_settled_what_a_later_part_tells_of() {
    let mut numbers = Numbers::default();
    for number in 0..5_000 {
        numbers.used(&event(0, 1, number, None));
        numbers.settled(number, number % 2 == 0);
    }
    let parts = Heartbeat::parts(&numbers, true);
    let said: Vec<_> =
        parts.iter().map(|part| (part.abandoned.len(), part.settled_below, part.is_last)).collect();
    assert_eq!(said, [(1_000, 2_001, false), (1_000, 4_001, false), (500, 5_000, true)]);
}

#[test]
fn a_heartbeat_s_session_maps_to_its_partition() {
    for partition in (0..64).map(Partition) {
        let session = Heartbeat::session(RandomIds.producer(), partition);
        assert_eq!(Partition::of_session(session, 64), partition);
        assert_eq!(session.0.get_version_num(), 8);
    }
}

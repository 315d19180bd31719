//! The table on a real S3 server: commits are exclusive there, whoever races and whatever is killed.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use datafusion::prelude::SessionContext;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use trailgate_schemas::{
    AUDIT_EVENT_SCHEMA, Actor, AuditEvent, EventId, EventWriter, Kind, Micros, Outcome, Place,
    Required, Resource, SchemaId, SessionId, SessionRule, SourceAddress, StreamId,
};
use trailgate_service::{Ids as _, RandomIds, install_crypto};
use trailgate_table::{
    CommitOutcome, Decoder, Ids, LogPartition, LogRecord, PartitionIds, PendingCommit, S3Config,
    Snapshot, Table, TableConfig, TableLocation, encode,
};
use trailgate_testkit::limits::WAIT_MAX;
use trailgate_testkit::{Bucket, S3};

const ID: SchemaId = SchemaId(7);
const NOW: Micros = Micros(1_795_435_200_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_refuses_a_second_create_and_so_the_table_is_taken() {
    let s3 = S3::start().await;
    let table = open(&s3.bucket("audit")).await;
    table.prove_exclusive_create().await.unwrap();
    table.prove_exclusive_create().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_of_many_writers_at_once_are_all_there_once() {
    let s3 = S3::start().await;
    let bucket = s3.bucket("audit");
    open(&bucket).await;
    let mut writers = JoinSet::new();
    for partition in 0..8 {
        let table = open(&bucket).await;
        writers.spawn(async move { write(&table, partition, 5).await });
    }
    let written: i64 = writers.join_all().await.into_iter().sum();
    assert_eq!(written, 8 * 5 * ROWS);
    each_once(&open(&bucket).await, written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_race_for_one_partition_write_each_row_once() {
    let s3 = S3::start().await;
    let bucket = s3.bucket("audit");
    open(&bucket).await;
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let table = open(&bucket).await;
        writers.spawn(async move { write(&table, 0, 5).await });
    }
    let written: i64 = writers.join_all().await.into_iter().sum();
    assert!(written >= 5 * ROWS);
    each_once(&open(&bucket).await, written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_the_middle_of_commits_loses_and_doubles_nothing() {
    let mut s3 = S3::start().await;
    let bucket = s3.bucket("audit");
    let table = open(&bucket).await;
    let writer = open(&bucket).await;
    let writing = tokio::spawn(async move { write(&writer, 0, 30).await });
    for wanted in [5, 12, 20] {
        while rows(&table).await < wanted * ROWS {
            tokio::task::yield_now().await;
        }
        s3.kill();
        s3.restart().await;
    }
    let written = writing.await.unwrap();
    assert_eq!(written, 30 * ROWS);
    each_once(&table, written).await;
}

/// Rows of one commit.
const ROWS: i64 = 3;

async fn open(bucket: &Bucket) -> Table {
    install_crypto();
    let s3 = S3Config {
        endpoint: Some(bucket.endpoint.clone()),
        region: Some(bucket.region.to_owned()),
        access_key_id: Some(bucket.access_key_id.to_owned()),
        secret_access_key: Some(bucket.secret_access_key.to_owned()),
        allow_http: true,
        ..S3Config::default()
    };
    let location = format!("s3://{}/trail/events", bucket.name);
    let location = TableLocation::try_from(&TableConfig { location, s3: Some(s3) }).unwrap();
    Table::open_or_create(&location).await.unwrap()
}

/// Makes so many commits, each behind what the others have made meanwhile; gives how many rows it
/// wrote.
async fn write(table: &Table, partition: u32, commits: usize) -> i64 {
    let mut written = 0;
    for _ in 0..commits {
        let base = newest(table).await;
        let mut pending = rows_behind(&base, LogPartition(partition));
        loop {
            pending = match table.commit(pending).await {
                CommitOutcome::Committed(_) => {
                    written += ROWS;
                    break;
                }
                CommitOutcome::Dropped(now) => rows_behind(&now, LogPartition(partition)),
                CommitOutcome::Pending(pending, error) => {
                    assert!(error.is_transient(), "{error}");
                    pending
                }
            };
        }
    }
    written
}

/// The newest version, as soon as the server answers.
async fn newest(table: &Table) -> Snapshot {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        match table.snapshot().await {
            Ok(newest) => return newest,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

fn rows_behind(base: &Snapshot, partition: LogPartition) -> PendingCommit {
    let before = base.ids_of(partition);
    let mut decoder = Decoder::new(base.stored_schema());
    decoder.know(ID, AUDIT_EVENT_SCHEMA).unwrap();
    let records: Vec<LogRecord> = (0..ROWS)
        .map(|n| LogRecord {
            partition,
            offset: before.next_offset + n,
            log_index: before.tree_size + n,
            appended_at: NOW,
            session: None,
            value: framed(i64::from(partition.0) * 1_000_000 + before.tree_size + n),
        })
        .collect();
    let files = encode(&decoder.decode(&records).unwrap(), NOW, || RandomIds.next()).unwrap();
    let after =
        PartitionIds { next_offset: before.next_offset + ROWS, tree_size: before.tree_size + ROWS };
    PendingCommit::new(base.clone(), files, Ids::from([(partition, after)]))
}

/// Event number `n`.
fn framed(n: i64) -> Bytes {
    let required = Required {
        actor: Actor::new("ada@example.com").unwrap(),
        kind: Kind::Request,
        gateway_time: Micros(NOW.0 + n),
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
        stream_seq: n,
    };
    let id = EventId(Uuid::from_u128(u128::from(n.cast_unsigned()) + 1));
    let event = AuditEvent::new(id, required, place);
    Bytes::from(EventWriter::new(ID).write(&event).unwrap())
}

/// How many rows the ids say there are; 0 while the server is away.
async fn rows(table: &Table) -> i64 {
    let snapshot = table.snapshot().await;
    snapshot.map_or(0, |snapshot| snapshot.ids().values().map(|ids| ids.tree_size).sum())
}

async fn each_once(table: &Table, expected: i64) {
    let snapshot = table.snapshot().await.unwrap();
    let context = SessionContext::new();
    context.register_table("events", snapshot.provider().await.unwrap()).unwrap();
    let sql = "select count(*), count(distinct event_id) from events";
    let counted = context.sql(sql).await.unwrap().collect().await.unwrap();
    let count = |column: usize| counted[0].column(column).as_primitive::<Int64Type>().value(0);
    assert_eq!((count(0), count(1)), (expected, expected));
    assert_eq!(rows(table).await, expected);
}

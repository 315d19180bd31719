//! What only the embedded log promises, or can be made to do wrong.

mod failure;
mod model;
mod upkeep;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use trailgate_schemas::Micros;
use trailgate_service::{Clock, ManualClock, SystemClock};

use super::EmbeddedLog;
use crate::append::AppendError;
use crate::backbone::{Backbone, BackboneError, Group};
use crate::config::EmbeddedConfig;
use crate::record::{NewRecord, Offset, Partition, Record};
use crate::subscription::Message;
use crate::topic::Topic;

fn open(folder: &Path, partitions: u32, clock: Arc<dyn Clock>) -> EmbeddedLog {
    let config = EmbeddedConfig { folder: folder.to_owned(), partitions };
    EmbeddedLog::open(&config, clock).unwrap()
}

async fn ready(folder: &Path, clock: Arc<dyn Clock>) -> EmbeddedLog {
    let log = open(folder, 2, clock);
    log.ensure(Topic::ALL).await.unwrap();
    log
}

fn record(topic: Topic, partition: u32, key: &str, value: Option<&[u8]>) -> NewRecord {
    NewRecord {
        topic,
        partition: Partition(partition),
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: value.map(Bytes::copy_from_slice),
    }
}

async fn append(log: &EmbeddedLog, record: NewRecord) -> Result<Offset, AppendError> {
    log.appender().unwrap().append(record).await
}

/// Everything that is kept of a topic.
async fn all(log: &EmbeddedLog, topic: Topic) -> Vec<Record> {
    let mut tail = log.tail(topic, &[]).await.unwrap();
    let mut records = Vec::new();
    loop {
        let batch = tail.next(Duration::ZERO).await.unwrap();
        records.extend(batch.records);
        if batch.ends.iter().all(|end| end.caught_up_at.is_some()) {
            return records;
        }
    }
}

/// Tries until it is so.
async fn soon(mut is_so: impl AsyncFnMut() -> bool) {
    let tries = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), tries).await.expect("soon");
}

#[tokio::test]
async fn a_topic_with_other_partitions_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(ready(folder.path(), Arc::new(SystemClock)).await);
    let said = open(folder.path(), 3, Arc::new(SystemClock)).ensure(&[Topic::Events]).await;
    let (found, wanted) = ("2".to_owned(), "3".to_owned());
    let topic = "audit.events";
    let misconfigured =
        BackboneError::Misconfigured { topic, setting: "partitions", found, wanted };
    assert_eq!(said, Err(misconfigured));
}

#[tokio::test]
async fn partitions_out_of_bounds_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for partitions in [0, 65] {
        let config = EmbeddedConfig { folder: folder.path().to_owned(), partitions };
        let said = EmbeddedLog::open(&config, Arc::new(SystemClock)).err();
        assert!(matches!(said, Some(BackboneError::Refused { .. })));
    }
}

#[tokio::test]
async fn what_was_never_made_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 2, Arc::new(SystemClock));
    let group = Group { name: "g".to_owned(), instance: "g-1".to_owned() };
    assert!(log.subscribe(Topic::Events, &group).is_err());
    assert!(log.tail(Topic::Events, &[]).await.is_err());
    assert_eq!(append(&log, record(Topic::Events, 0, "k", None)).await, Err(AppendError::Failed));
    log.ensure(&[Topic::Events]).await.unwrap();
    assert_eq!(append(&log, record(Topic::Events, 0, "k", None)).await, Ok(Offset(0)));
    assert_eq!(append(&log, record(Topic::Events, 9, "k", None)).await, Err(AppendError::Failed));
}

#[tokio::test]
async fn records_are_stamped_by_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Micros(1_000));
    let log = ready(folder.path(), Arc::new(clock.clone())).await;
    for _ in 0..3 {
        append(&log, record(Topic::Events, 0, "k", Some(b"v"))).await.unwrap();
        clock.advance(Duration::from_micros(500));
    }
    let times: Vec<i64> = all(&log, Topic::Events).await.iter().map(|r| r.appended_at.0).collect();
    assert_eq!(times, [1_000, 1_500, 2_000]);
    for (time, offset) in [(0, 0), (1_000, 0), (1_001, 1), (2_000, 2), (2_001, 3)] {
        let found = log.offset_at(Topic::Events, Partition(0), Micros(time)).await;
        assert_eq!(found, Ok(Offset(offset)), "at {time}");
    }
}

#[tokio::test]
async fn what_is_left_of_a_group_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let log = ready(folder.path(), Arc::new(SystemClock)).await;
    append(&log, record(Topic::Events, 0, "k", Some(b"v"))).await.unwrap();
    let group = Group { name: "g".to_owned(), instance: "g-1".to_owned() };
    let mut member = log.subscribe(Topic::Events, &group).unwrap();
    let Some(Message::Assigned(assignment)) = member.next().await else { panic!("assigned") };
    assignment.start(vec![(Partition(0), Offset(0))]);
    let Some(Message::Record(custody)) = member.next().await else { panic!("a record") };
    custody.delivered();
    drop((member, log));
    // The folder is free once the member's thread has left its group, too.
    let config = EmbeddedConfig { folder: folder.path().to_owned(), partitions: 2 };
    let mut log = None;
    soon(async || {
        log = EmbeddedLog::open(&config, Arc::new(SystemClock)).ok();
        log.is_some()
    })
    .await;
    let committed = log.unwrap().committed("g", Topic::Events).await;
    assert_eq!(committed, Ok(vec![(Partition(0), Offset(1))]));
}

#[tokio::test]
async fn an_owner_who_does_not_drain_in_time_loses_its_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let log = ready(folder.path(), Arc::new(SystemClock)).await;
    append(&log, record(Topic::Events, 1, "k", Some(b"v"))).await.unwrap();
    let member = |instance: &str| Group { name: "g".to_owned(), instance: instance.to_owned() };
    let mut first = log.subscribe(Topic::Events, &member("1")).unwrap();
    let Some(Message::Assigned(assignment)) = first.next().await else { panic!("assigned") };
    assignment.start(vec![(Partition(1), Offset(0))]);
    let Some(Message::Record(custody)) = first.next().await else { panic!("a record") };
    let mut second = log.subscribe(Topic::Events, &member("2")).unwrap();
    let Some(Message::Revoked(revocation)) = first.next().await else { panic!("revoked") };
    assert_eq!(revocation.partitions(), [Partition(1)]);
    let Some(Message::Lost(lost)) = first.next().await else { panic!("lost") };
    assert_eq!(lost, [Partition(1)]);
    // What is delivered after that counts no more.
    custody.delivered();
    revocation.drained();
    let Some(Message::Assigned(assignment)) = second.next().await else { panic!("assigned") };
    assert_eq!(assignment.partitions()[0].partition, Partition(1));
    assert_eq!(assignment.partitions()[0].committed, None);
}

//! Storage that fails.

use std::io::{Seek, SeekFrom, Write};

use super::*;
use crate::processor::{
    Ended, Flow, Outputs, ProcessError, Processor, ProcessorSpec, ProcessorStatus,
};

/// Fills the disk: the database may not grow, and grows until it can't.
async fn fill(log: &EmbeddedLog) {
    log.allow_pages(1);
    let value = vec![7; 100_000];
    soon(async || append(log, record(Topic::Refused, 0, "k", Some(&value))).await.is_err()).await;
}

#[tokio::test]
async fn a_full_disk_refuses_records_until_there_is_room_and_loses_none_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let log = ready(folder.path(), Arc::new(SystemClock)).await;
    let mut acknowledged = Vec::new();
    for _ in 0..10 {
        acknowledged.push(append(&log, record(Topic::Raw, 0, "k", Some(b"before"))).await.unwrap());
    }
    fill(&log).await;
    let refused = append(&log, record(Topic::Raw, 0, "k", Some(b"meanwhile"))).await;
    assert_eq!(refused, Err(AppendError::Failed));
    let full = BackboneError::Storage { code: "disk full (13)".to_owned() };
    assert_eq!(log.ping(Duration::from_secs(10)).await, Err(full.clone()));
    assert_eq!(log.trim(Topic::Raw, Partition(0), Offset(1)).await, Err(full));
    assert_eq!(all(&log, Topic::Raw).await.len(), 10, "what is there can still be read");

    log.allow_pages(0);
    soon(async || log.ping(Duration::from_secs(10)).await.is_ok()).await;
    acknowledged.push(append(&log, record(Topic::Raw, 0, "k", Some(b"after"))).await.unwrap());
    drop(log);
    let log = open(folder.path(), 2, Arc::new(SystemClock));
    let kept: Vec<Offset> = all(&log, Topic::Raw).await.iter().map(|r| r.offset).collect();
    assert_eq!(kept, acknowledged);
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let log = ready(folder.path(), Arc::new(SystemClock)).await;
    for _ in 0..200 {
        append(&log, record(Topic::Raw, 0, "k", Some(&[1; 1_000]))).await.unwrap();
    }
    drop(log);
    let path = folder.path().join("log.sqlite");
    let length = std::fs::metadata(&path).unwrap().len();
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    // All but the schema's page.
    file.seek(SeekFrom::Start(16 * 1024)).unwrap();
    file.write_all(&vec![0xa5; length as usize - 16 * 1024]).unwrap();
    drop(file);
    let config = EmbeddedConfig { folder: folder.path().to_owned(), partitions: 2 };
    let said = EmbeddedLog::open(&config, Arc::new(SystemClock)).err();
    let Some(BackboneError::Storage { code }) = said else { panic!("unexpected {said:?}") };
    assert!(code.starts_with(&format!("{}: corrupt", folder.path().display())), "{code}");
}

/// Puts every record out, and remembers how many.
struct Copies {
    count: u64,
}

impl Processor for Copies {
    fn restore(
        &mut self,
        _partition: Partition,
        _key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ProcessError> {
        let bytes = value.and_then(|value| value.try_into().ok());
        self.count = u64::from_be_bytes(bytes.ok_or(ProcessError::Broken { code: "state" })?);
        Ok(())
    }

    fn process(&mut self, record: &Record, outputs: &mut Outputs) -> Result<Flow, ProcessError> {
        if record.partition != Partition(0) {
            return Ok(Flow::Done);
        }
        self.count += 1;
        let count = Bytes::copy_from_slice(&self.count.to_be_bytes());
        outputs.send(Topic::Events, Partition(0), record.key.clone(), count.clone());
        outputs.keep(Topic::MaskerState, Partition(0), Bytes::from_static(b"count"), Some(count));
        Ok(Flow::Done)
    }

    fn tick(&mut self, _now: Micros, _outputs: &mut Outputs) -> Result<(), ProcessError> {
        Ok(())
    }

    fn revoked(&mut self, partition: Partition) {
        if partition == Partition(0) {
            self.count = 0;
        }
    }
}

fn spec() -> ProcessorSpec {
    ProcessorSpec {
        group: "copies".to_owned(),
        instance: "copies-1".to_owned(),
        inputs: vec![Topic::Raw],
        changelog: Topic::MaskerState,
        outputs: vec![Topic::Events],
        commit_every: Duration::from_millis(5),
    }
}

#[tokio::test]
async fn a_processor_outlives_an_outage_with_each_effect_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = ready(folder.path(), Arc::new(SystemClock)).await;
    let handle = log.process(spec(), Box::new(Copies { count: 0 })).unwrap();
    let mut sent = 0;
    for _ in 0..3 {
        for _ in 0..20 {
            append(&log, record(Topic::Raw, 0, "k", Some(b"v"))).await.unwrap();
            sent += 1;
        }
        fill(&log).await;
        let mut status = handle.status();
        let is_hit = |status: &ProcessorStatus| status.waiting.len() == 2;
        status.wait_for(is_hit).await.unwrap();
        log.allow_pages(0);
        soon(async || log.ping(Duration::from_secs(10)).await.is_ok()).await;
    }
    soon(async || all(&log, Topic::Events).await.len() >= sent).await;
    assert_eq!(handle.stop().await, Ended::Stopped);
    let counts = all(&log, Topic::Events).await;
    let counts: Vec<u64> = counts
        .iter()
        .map(|record| u64::from_be_bytes(record.value.as_ref().unwrap()[..].try_into().unwrap()))
        .collect();
    assert_eq!(counts, (1..=sent as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_processor_that_panics_has_ended_and_its_partitions_are_free() {
    struct Panics;
    impl Processor for Panics {
        fn restore(
            &mut self,
            _: Partition,
            _: &[u8],
            _: Option<&[u8]>,
        ) -> Result<(), ProcessError> {
            Ok(())
        }
        fn process(&mut self, _: &Record, outputs: &mut Outputs) -> Result<Flow, ProcessError> {
            outputs.send(Topic::Events, Partition(0), Bytes::new(), Bytes::new());
            panic!("a bug");
        }
        fn tick(&mut self, _: Micros, _: &mut Outputs) -> Result<(), ProcessError> {
            Ok(())
        }
        fn revoked(&mut self, _: Partition) {}
    }
    let folder = tempfile::tempdir().unwrap();
    let log = ready(folder.path(), Arc::new(SystemClock)).await;
    append(&log, record(Topic::Raw, 0, "k", Some(b"v"))).await.unwrap();
    let handle = log.process(spec(), Box::new(Panics)).unwrap();
    let mut status = handle.status();
    let ended = status.wait_for(|status| status.ended.is_some()).await.unwrap().ended.clone();
    assert_eq!(ended, Some(Ended::Failed("processor panicked".to_owned())));
    let handle = log.process(spec(), Box::new(Copies { count: 0 })).unwrap();
    soon(async || all(&log, Topic::Events).await.len() == 1).await;
    assert_eq!(handle.stop().await, Ended::Stopped);
}

#[tokio::test]
async fn an_output_that_was_not_declared_ends_the_processor() {
    struct Strays;
    impl Processor for Strays {
        fn restore(
            &mut self,
            _: Partition,
            _: &[u8],
            _: Option<&[u8]>,
        ) -> Result<(), ProcessError> {
            Ok(())
        }
        fn process(&mut self, _: &Record, outputs: &mut Outputs) -> Result<Flow, ProcessError> {
            outputs.send(Topic::Refused, Partition(0), Bytes::new(), Bytes::new());
            Ok(Flow::Done)
        }
        fn tick(&mut self, _: Micros, _: &mut Outputs) -> Result<(), ProcessError> {
            Ok(())
        }
        fn revoked(&mut self, _: Partition) {}
    }
    let folder = tempfile::tempdir().unwrap();
    let log = ready(folder.path(), Arc::new(SystemClock)).await;
    append(&log, record(Topic::Raw, 0, "k", Some(b"v"))).await.unwrap();
    let handle = log.process(spec(), Box::new(Strays)).unwrap();
    let mut status = handle.status();
    let ended = status.wait_for(|status| status.ended.is_some()).await.unwrap().ended.clone();
    assert_eq!(ended, Some(Ended::Failed("output to an undeclared topic".to_owned())));
    assert_eq!(log.committed("copies", Topic::Raw).await, Ok(vec![]));
}

//! Trimming what was kept for long enough, and giving space back.

use super::*;

fn length(folder: &Path) -> u64 {
    std::fs::metadata(folder.join("log.sqlite")).unwrap().len()
}

#[tokio::test]
async fn what_is_kept_for_a_time_goes_after_it_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Micros(0));
    let log = ready(folder.path(), Arc::new(clock.clone())).await;
    for day in 0..6 {
        append(&log, record(Topic::Refused, 0, "k", Some(b"refused"))).await.unwrap();
        append(&log, record(Topic::Events, 0, "k", Some(&[day]))).await.unwrap();
        clock.advance(Duration::from_secs(5 * 24 * 3600));
    }
    // On day 30 the first is 30 days old, the second 25. It is looked after when it opens.
    drop(log);
    let log = open(folder.path(), 2, Arc::new(clock));
    soon(async || log.watermarks(Topic::Refused).await.unwrap()[0].1.low == Offset(1)).await;
    assert_eq!(all(&log, Topic::Refused).await.len(), 5);
    assert_eq!(all(&log, Topic::Events).await.len(), 6, "kept until it is trimmed");
}

#[tokio::test]
async fn trimming_gives_space_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = ready(folder.path(), Arc::new(SystemClock)).await;
    let value = vec![7; 900_000];
    for _ in 0..12 {
        let acks: Vec<_> = (0..10)
            .map(|_| log.appender().unwrap().append(record(Topic::Raw, 0, "k", Some(&value))))
            .collect();
        futures::future::try_join_all(acks).await.unwrap();
    }
    let kept = append(&log, record(Topic::Raw, 0, "k", Some(b"kept"))).await.unwrap();
    log.trim(Topic::Raw, Partition(0), kept).await.unwrap();
    let records = all(&log, Topic::Raw).await;
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [kept]);
    // 108 MB were there; 16 MiB of free pages stay for what comes.
    soon(async || length(folder.path()) < 24 * 1024 * 1024).await;
}

#[tokio::test]
async fn places_go_on_after_everything_was_trimmed_and_it_was_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let log = ready(folder.path(), Arc::new(SystemClock)).await;
    for _ in 0..3 {
        append(&log, record(Topic::Raw, 0, "k", Some(b"v"))).await.unwrap();
    }
    log.trim(Topic::Raw, Partition(0), Offset(3)).await.unwrap();
    drop(log);
    let log = open(folder.path(), 2, Arc::new(SystemClock));
    assert_eq!(append(&log, record(Topic::Raw, 0, "k", Some(b"v"))).await, Ok(Offset(3)));
    let beyond = log.trim(Topic::Raw, Partition(0), Offset(5)).await;
    assert!(matches!(beyond, Err(BackboneError::Refused { .. })));
}

//! Brokers that are gone, stopped, or have dropped what is being read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use trailgate_testkit::{Kafka, until_within};
use trailgate_topics::{
    AppendError, Appender, BackboneError, Ended, Message, NewRecord, Offset, Partition,
    Subscription, Tail, Topic,
};

use super::{Outputted, copier, send};
use crate::contract::{ends, fresh, group, marked, start, within};
use crate::{TURN, config, open, shared_kafka};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_answered_soon_and_everything_goes_on_after_it() {
    let _turn = TURN.lock().await;
    let mut kafka = Kafka::start().await;
    let backbone = open(&config(kafka.bootstrap(), None));
    backbone.ensure(Topic::ALL).await.unwrap();
    let (mark, from) = (fresh(), ends(&backbone, Topic::Decisions).await);
    let (spec, processor) = copier(&mark, "a");
    let handle = backbone.process(spec, processor).unwrap();
    let appender = backbone.appender().unwrap();
    let mut read = Outputted::open(&backbone, &mark).await;
    read.by(&handle);
    let mut member = backbone.subscribe(Topic::Decisions, &group(&mark, "a")).unwrap();
    let mut tail = backbone.tail(Topic::Raw, &[]).await.unwrap();
    for round in 0..2 {
        let sent = round * 40;
        send(&appender, &mark, sent..sent + 40).await;
        read.upto(sent + 40).await;
        delivered(&mut member, &from, 40).await;
        sees_all_again(&mut tail).await;

        kafka.kill();
        let unsure = fresh();
        refused_at_once(&appender, &unsure).await;
        assert!(matches!(
            backbone.ping(Duration::from_millis(300)).await,
            Err(BackboneError::Unreachable { .. })
        ));
        let told = until_within(Duration::from_secs(30), "word of the outage", async || {
            matches!(member.next().await, Some(Message::Unreachable)).then_some(())
        });
        told.await;
        until_within(Duration::from_secs(30), "the tail's word of it", async || {
            let next = tail.next(Duration::from_secs(1)).await;
            matches!(next, Err(BackboneError::Unreachable { .. })).then_some(())
        })
        .await;
        kafka.restart().await;
        until_within(Duration::from_secs(30), "an acknowledgement", async || {
            appender.append(marked(Topic::Raw, 0, &unsure, 0)).await.ok()
        })
        .await;
    }
    send(&appender, &mark, 80..120).await;
    read.upto(120).await;
    delivered(&mut member, &from, 40).await;

    // A broker that keeps its connections and answers nothing is out of reach, too.
    kafka.pause();
    let unsure = fresh();
    refused_at_once(&appender, &unsure).await;
    kafka.resume();
    until_within(Duration::from_secs(30), "an acknowledgement", async || {
        appender.append(marked(Topic::Raw, 0, &unsure, 0)).await.ok()
    })
    .await;

    // What is closed during an outage waits for nobody, and its name is free afterwards.
    send(&appender, &mark, 120..160).await;
    kafka.kill();
    let closing = Instant::now();
    drop((member, appender));
    assert!(closing.elapsed() < Duration::from_millis(100), "closing keeps nobody");
    assert_eq!(within(handle.stop()).await, Ended::Stopped);
    kafka.restart().await;
    let mut member = backbone.subscribe(Topic::Decisions, &group(&mark, "a")).unwrap();
    let (spec, processor) = copier(&mark, "a");
    let handle = backbone.process(spec, processor).unwrap();
    read.by(&handle);
    read.upto(160).await;
    delivered(&mut member, &from, 40).await;
    assert_eq!(within(handle.stop()).await, Ended::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_whose_range_is_trimmed_before_it_was_fetched_never_skips() {
    const COUNT: usize = 700;
    let kafka = shared_kafka().await;
    let backbone = open(&config(kafka.bootstrap(), None));
    backbone.ensure(Topic::ALL).await.unwrap();
    let appender = backbone.appender().unwrap();
    let mut last = Offset(0);
    for _ in 0..COUNT {
        let (topic, partition) = (Topic::Spool, Partition(1));
        // More in all than a reader fetches ahead.
        let (key, value) = (Bytes::new(), Some(Bytes::from(vec![7; 64 * 1024])));
        let record = NewRecord { topic, partition, key, value };
        last = within(appender.append(record)).await.unwrap();
    }
    let mut tail = backbone.tail(Topic::Spool, &[]).await.unwrap();
    let first = within(tail.next(Duration::from_secs(30))).await.unwrap().records;
    within(backbone.trim(Topic::Spool, Partition(1), last)).await.unwrap();
    let mut next = first.last().unwrap().offset.next();
    let error = loop {
        match within(tail.next(Duration::from_secs(5))).await {
            Ok(batch) => {
                for record in batch.records {
                    assert_eq!(record.offset, next);
                    next = record.offset.next();
                }
                assert!(next < last, "what is gone is not passed over");
            }
            Err(error) => break error,
        }
    };
    let (topic, partition, low) = ("audit.spool", Partition(1), last);
    assert_eq!(error, BackboneError::Missing { topic, partition, low, wanted: next });
    let again = within(tail.next(Duration::from_secs(1))).await;
    assert_eq!(again.err(), Some(error), "and it stays so");
}

/// At first a record may be waited for; then it is known that nobody answers.
async fn refused_at_once(appender: &Arc<dyn Appender>, mark: &str) {
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        let error = within(appender.append(marked(Topic::Raw, 0, mark, 0))).await.unwrap_err();
        assert!(matches!(error, AppendError::TimedOut | AppendError::Failed), "{error:?}");
        if asked.elapsed() < Duration::from_millis(20) {
            assert_eq!(error, AppendError::Failed);
            break;
        }
        assert!(asked.elapsed() < Duration::from_secs(8), "an answer comes soon");
        assert!(began.elapsed() < Duration::from_secs(20), "and then at once");
    }
}

/// Waits until a tail has seen everything once more than it had.
async fn sees_all_again(tail: &mut Box<dyn Tail>) {
    let mut last = None;
    until_within(Duration::from_secs(60), "the tail to see everything", async || {
        let batch = tail.next(Duration::from_millis(300)).await.ok()?;
        let seen = batch.ends.iter().map(|end| end.caught_up_at).min()??;
        last.replace(seen).is_some_and(|last| seen > last).then_some(())
    })
    .await;
}

async fn delivered(member: &mut Subscription, from: &BTreeMap<Partition, Offset>, count: usize) {
    let mut taken = 0;
    while taken < count {
        match within(member.next()).await.unwrap() {
            Message::Assigned(assignment) => start(assignment, from),
            Message::Record(custody) => {
                custody.delivered();
                taken += 1;
            }
            Message::Revoked(revocation) => revocation.drained(),
            Message::Lost(_) | Message::Unreachable => {}
            other @ Message::Missing { .. } => panic!("unexpected {other:?}"),
        }
    }
}

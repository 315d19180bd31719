//! Reading all of a topic.

use std::sync::Arc;
use std::time::Duration;

use trailgate_topics::{Backbone, BackboneError, Offset, Partition, Topic};

use super::{append, ends, fresh, number, numbers, within};

pub async fn a_tail_begins_where_it_is_told_and_sees_what_comes(backbone: &Arc<dyn Backbone>) {
    let mark = fresh();
    let places = append(backbone, Topic::Events, 1, &mark, 0..10).await;
    let mut from: Vec<_> = ends(backbone, Topic::Events).await.into_iter().collect();
    from[1].1 = places[7];
    let mut tail = within(backbone.tail(Topic::Events, &from)).await.unwrap();
    let mut read = Vec::new();
    while numbers(&mark, &read).len() < 3 {
        read.extend(within(tail.next(Duration::from_secs(1))).await.unwrap().records);
    }
    assert_eq!(numbers(&mark, &read), [7, 8, 9]);
    let (coming, appended) = tokio::join!(
        async {
            loop {
                let batch = within(tail.next(Duration::from_secs(60))).await.unwrap();
                if let Some(record) = batch.records.first() {
                    return number(&mark, record);
                }
            }
        },
        append(backbone, Topic::Events, 0, &mark, 10..11)
    );
    assert_eq!((coming, appended.len()), (Some(10), 1));
}

pub async fn a_tail_says_when_it_has_seen_everything(backbone: &Arc<dyn Backbone>) {
    let mark = fresh();
    let from: Vec<_> = ends(backbone, Topic::Events).await.into_iter().collect();
    append(backbone, Topic::Events, 0, &mark, 0..20).await;
    let mut tail = within(backbone.tail(Topic::Events, &from)).await.unwrap();
    let (mut read, mut last_seen) = (Vec::new(), None);
    while numbers(&mark, &read).len() < 20 || last_seen.is_none() {
        let batch = within(tail.next(Duration::from_millis(200))).await.unwrap();
        assert_eq!(batch.ends.len(), backbone.partitions() as usize);
        read.extend(batch.records);
        let end = batch.ends.iter().find(|end| end.partition == Partition(0)).unwrap();
        if let Some(at) = end.caught_up_at {
            assert_eq!(numbers(&mark, &read).len(), 20, "not before everything was read");
            last_seen = Some((at, end.next));
        }
    }
    let (at, next) = last_seen.unwrap();
    assert!(next > read.last().unwrap().offset);
    // While nothing comes that time goes on.
    loop {
        let batch = within(tail.next(Duration::from_millis(50))).await.unwrap();
        assert_eq!(batch.records, []);
        if batch.ends.iter().all(|end| end.caught_up_at.is_some_and(|later| later > at)) {
            break;
        }
    }
    // What is appended from now on is stamped no earlier than what was seen.
    append(backbone, Topic::Events, 0, &mark, 20..21).await;
    loop {
        let batch = within(tail.next(Duration::from_secs(1))).await.unwrap();
        if let Some(record) = batch.records.first() {
            assert!(record.appended_at >= at);
            break;
        }
    }
}

pub async fn a_tail_behind_a_trim_is_told_so(backbone: &Arc<dyn Backbone>) {
    let mark = fresh();
    let places = append(backbone, Topic::Events, 0, &mark, 0..10).await;
    let mut tail =
        within(backbone.tail(Topic::Events, &[(Partition(0), places[0])])).await.unwrap();
    within(backbone.trim(Topic::Events, Partition(0), places[5])).await.unwrap();
    let watermarks = within(backbone.watermarks(Topic::Events)).await.unwrap();
    assert_eq!(watermarks[0].1.low, places[5]);
    let is_missing = |error: BackboneError, wanted: Offset| {
        matches!(error, BackboneError::Missing { partition, low, wanted: w, .. }
            if partition == Partition(0) && low == places[5] && w == wanted)
    };
    let again = within(backbone.tail(Topic::Events, &[(Partition(0), places[4])])).await;
    assert!(is_missing(again.err().unwrap(), places[4]));
    // One that was open may still hold what it had fetched; it never skips.
    let mut read = Vec::new();
    let said = loop {
        match within(tail.next(Duration::from_millis(200))).await {
            Ok(batch) => read.extend(batch.records),
            Err(error) => break Some(error),
        }
        if numbers(&mark, &read).len() == 10 {
            break None;
        }
    };
    let seen = numbers(&mark, &read);
    assert_eq!(seen, (0..seen.len()).collect::<Vec<_>>());
    assert!(said.is_none_or(|error| is_missing(error, places[seen.len()])));
}

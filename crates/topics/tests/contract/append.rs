//! Appending, and what is found of it.

use std::sync::Arc;

use bytes::Bytes;
use trailgate_schemas::Micros;
use trailgate_topics::{AppendError, Backbone, Offset, Partition, Topic};

use super::{append, ends, fresh, marked, numbers, read_until, within};

pub async fn ensuring_again_changes_nothing(backbone: &Arc<dyn Backbone>) {
    within(backbone.ensure(Topic::ALL)).await.unwrap();
    let before = ends(backbone, Topic::Events).await;
    assert_eq!(before.len(), backbone.partitions() as usize);
    within(backbone.ensure(Topic::ALL)).await.unwrap();
    assert_eq!(ends(backbone, Topic::Events).await, before);
}

pub async fn acknowledged_records_are_read_in_the_order_of_the_calls(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Events).await);
    let appender = backbone.appender().unwrap();
    let mut acks = Vec::new();
    for number in 0..500 {
        for partition in 0..2 {
            acks.push(appender.append(marked(Topic::Events, partition, &mark, number)));
        }
    }
    let places: Vec<Offset> = within(futures::future::try_join_all(acks)).await.unwrap();
    let is_enough = |read: &[_]| numbers(&mark, read).len() == 1_000;
    let read = read_until(backbone, Topic::Events, &from, is_enough).await;
    for partition in [Partition(0), Partition(1)] {
        let of = |p: Partition| read.iter().filter(move |record| record.partition == p);
        assert_eq!(numbers(&mark, of(partition)), (0..500).collect::<Vec<_>>());
        let found: Vec<Offset> = of(partition)
            .filter(|record| super::number(&mark, record).is_some())
            .map(|record| record.offset)
            .collect();
        let acknowledged = places.iter().skip(partition.0 as usize).step_by(2);
        assert!(found.iter().eq(acknowledged), "each lies where its acknowledgement says");
        assert!(of(partition).all(|record| record.appended_at > Micros(0)));
    }
}

pub async fn a_record_that_is_too_long_is_not_written(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Events).await);
    let mut long = marked(Topic::Events, 0, &mark, 0);
    long.value = Some(Bytes::from(vec![b'x'; 1_000_001]));
    let appender = backbone.appender().unwrap();
    assert_eq!(within(appender.append(long)).await, Err(AppendError::TooLong));
    append(backbone, Topic::Events, 0, &mark, 1..2).await;
    let read = read_until(backbone, Topic::Events, &from, |read| !read.is_empty()).await;
    assert_eq!(numbers(&mark, &read), [1]);
}

pub async fn places_are_found_by_time(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Events).await);
    append(backbone, Topic::Events, 0, &mark, 0..5).await;
    let is_enough = |read: &[_]| numbers(&mark, read).len() == 5;
    let read = read_until(backbone, Topic::Events, &from, is_enough).await;
    let find =
        async |time| within(backbone.offset_at(Topic::Events, Partition(0), time)).await.unwrap();
    let last = read.last().unwrap();
    let found = find(last.appended_at).await;
    let first_then = read.iter().find(|record| record.appended_at == last.appended_at).unwrap();
    assert!(found <= first_then.offset, "nothing from that time on is before the place found");
    let later = Micros(last.appended_at.0 + 3_600_000_000);
    assert_eq!(find(later).await, ends(backbone, Topic::Events).await[&Partition(0)]);
}

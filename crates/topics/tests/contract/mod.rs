//! What every backbone promises, as functions over the seam. The embedded log runs them here, each
//! on a log of its own; Kafka runs [`all`] on a real one, so they keep apart by fresh marks and by
//! where each partition ended when they began, and expect nothing of what lies before. Most of their
//! time is waiting for sessions and commits, so four rows of them stand side by side, each on topics
//! of its own.

#![allow(dead_code, unreachable_pub, reason = "every caller has its own choice of them")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod append;
mod group;
mod inputs;
pub mod processor;
mod registry;
mod tail;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use trailgate_service::{Ids, RandomIds};
use trailgate_topics::{
    Assignment, Backbone, Custody, Group, Message, NewRecord, Offset, Partition, Record,
    Subscription, Topic,
};

pub use append::{
    a_record_that_is_too_long_is_not_written,
    acknowledged_records_are_read_in_the_order_of_the_calls, ensuring_again_changes_nothing,
    places_are_found_by_time,
};
pub use group::{
    a_dropped_record_holds_the_committed_place, a_missing_range_is_told_and_stops_its_partition,
    a_partition_without_a_start_is_not_read, a_revocation_waits_for_its_owner,
    a_seek_reads_again_and_a_stop_stops, members_share_partitions_and_a_leaver_s_go_on,
};
pub use inputs::{
    a_missing_range_of_one_input_stops_all_inputs_of_its_partition,
    a_processor_without_sense_is_refused, a_restart_goes_on_in_each_input_from_its_place,
    a_waiting_record_holds_only_its_input_of_its_partition,
    all_inputs_of_a_partition_are_with_one_instance,
};
pub use processor::{
    a_failed_step_leaves_nothing, a_restart_goes_on_from_the_committed_place_and_state,
    a_waiting_record_is_offered_again_and_holds_only_its_partition, outputs_and_state_come_once,
    steps_that_end_slowly_take_many_records, two_instances_share_the_input_and_hand_state_over,
};
pub use registry::only_fully_compatible_schemas_are_registered;
pub use tail::{
    a_tail_begins_where_it_is_told_and_sees_what_comes, a_tail_behind_a_trim_is_told_so,
    a_tail_says_when_it_has_seen_everything,
};

/// How long anything may take on a slow machine with a real broker.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// All of it, on a backbone that others may have used.
pub async fn all(backbone: &Arc<dyn Backbone>) {
    ensuring_again_changes_nothing(backbone).await;
    tokio::join!(
        all_of_appending_and_tails(backbone),
        all_of_groups(backbone),
        all_of_processors(backbone),
        all_of_processors_with_several_inputs(backbone),
    );
}

async fn all_of_appending_and_tails(backbone: &Arc<dyn Backbone>) {
    only_fully_compatible_schemas_are_registered(backbone).await;
    acknowledged_records_are_read_in_the_order_of_the_calls(backbone).await;
    a_record_that_is_too_long_is_not_written(backbone).await;
    places_are_found_by_time(backbone).await;
    a_tail_begins_where_it_is_told_and_sees_what_comes(backbone).await;
    a_tail_says_when_it_has_seen_everything(backbone).await;
    // It trims, so it comes last.
    a_tail_behind_a_trim_is_told_so(backbone).await;
}

async fn all_of_groups(backbone: &Arc<dyn Backbone>) {
    a_partition_without_a_start_is_not_read(backbone).await;
    a_dropped_record_holds_the_committed_place(backbone).await;
    a_seek_reads_again_and_a_stop_stops(backbone).await;
    a_revocation_waits_for_its_owner(backbone).await;
    members_share_partitions_and_a_leaver_s_go_on(backbone).await;
    a_missing_range_is_told_and_stops_its_partition(backbone).await;
}

async fn all_of_processors(backbone: &Arc<dyn Backbone>) {
    outputs_and_state_come_once(backbone).await;
    a_restart_goes_on_from_the_committed_place_and_state(backbone).await;
    a_waiting_record_is_offered_again_and_holds_only_its_partition(backbone).await;
    steps_that_end_slowly_take_many_records(backbone).await;
    a_failed_step_leaves_nothing(backbone).await;
    two_instances_share_the_input_and_hand_state_over(backbone).await;
}

async fn all_of_processors_with_several_inputs(backbone: &Arc<dyn Backbone>) {
    a_processor_without_sense_is_refused(backbone).await;
    a_restart_goes_on_in_each_input_from_its_place(backbone).await;
    a_waiting_record_holds_only_its_input_of_its_partition(backbone).await;
    all_inputs_of_a_partition_are_with_one_instance(backbone).await;
    // It trims, so it comes last.
    a_missing_range_of_one_input_stops_all_inputs_of_its_partition(backbone).await;
}

/// Something that was never said before.
pub fn fresh() -> String {
    RandomIds.next().simple().to_string()
}

/// A group of its own.
pub fn group(name: &str, instance: &str) -> Group {
    Group { name: name.to_owned(), instance: format!("{name}-{instance}") }
}

/// A record whose value says `mark` and a number.
pub fn marked(topic: Topic, partition: u32, mark: &str, number: usize) -> NewRecord {
    let value = Some(Bytes::from(format!("{mark} {number}")));
    let key = Bytes::from_static(b"0190b5ac-7e3c-8f00-8000-0000000000ff");
    NewRecord { topic, partition: Partition(partition), key, value }
}

/// The numbers behind `mark` in the order of `records`.
pub fn numbers<'a>(mark: &str, records: impl IntoIterator<Item = &'a Record>) -> Vec<usize> {
    records.into_iter().filter_map(|record| number(mark, record)).collect()
}

/// The number behind `mark`.
pub fn number(mark: &str, record: &Record) -> Option<usize> {
    let text = std::str::from_utf8(record.value.as_ref()?).ok()?;
    text.strip_prefix(mark)?.trim().parse().ok()
}

/// Appends records with numbers and waits for every acknowledgement.
pub async fn append(
    backbone: &Arc<dyn Backbone>,
    topic: Topic,
    partition: u32,
    mark: &str,
    range: std::ops::Range<usize>,
) -> Vec<Offset> {
    let appender = backbone.appender().unwrap();
    let acks: Vec<_> =
        range.map(|number| appender.append(marked(topic, partition, mark, number))).collect();
    within(futures::future::try_join_all(acks)).await.unwrap()
}

/// Where each partition ends now.
pub async fn ends(backbone: &Arc<dyn Backbone>, topic: Topic) -> BTreeMap<Partition, Offset> {
    let watermarks = within(backbone.watermarks(topic)).await.unwrap();
    watermarks.into_iter().map(|(partition, marks)| (partition, marks.high)).collect()
}

/// Everything of `topic` behind `from`, until `enough` says so of what was read.
pub async fn read_until(
    backbone: &Arc<dyn Backbone>,
    topic: Topic,
    from: &BTreeMap<Partition, Offset>,
    enough: impl Fn(&[Record]) -> bool,
) -> Vec<Record> {
    let from: Vec<_> = from.iter().map(|(partition, offset)| (*partition, *offset)).collect();
    let mut tail = within(backbone.tail(topic, &from)).await.unwrap();
    let mut records = Vec::new();
    within(async {
        while !enough(&records) {
            records.extend(tail.next(Duration::from_secs(1)).await.unwrap().records);
        }
    })
    .await;
    records
}

/// What comes in time.
pub async fn within<T>(coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, coming).await.expect("in time")
}

/// The next message that is no outage.
pub async fn message(subscription: &mut Subscription) -> Message {
    loop {
        match within(subscription.next()).await.expect("the consumer lives") {
            Message::Unreachable => {}
            message @ (Message::Assigned(_)
            | Message::Record(_)
            | Message::Revoked(_)
            | Message::Lost(_)
            | Message::Missing { .. }) => return message,
        }
    }
}

/// Starts what came at its committed place, else where the partition ended at first.
pub fn start(assignment: Assignment, ends: &BTreeMap<Partition, Offset>) {
    let places = assignment.partitions().iter();
    let places = places.map(|p| (p.partition, p.committed.unwrap_or(ends[&p.partition])));
    let places = places.collect();
    assignment.start(places);
}

/// Reads the next `count` records, starting and draining whatever is asked for on the way.
pub async fn records(
    subscription: &mut Subscription,
    ends: &BTreeMap<Partition, Offset>,
    count: usize,
) -> Vec<Custody> {
    let mut records = Vec::new();
    while records.len() < count {
        match message(subscription).await {
            Message::Assigned(assignment) => start(assignment, ends),
            Message::Record(custody) => records.push(custody),
            Message::Revoked(revocation) => revocation.drained(),
            other @ (Message::Lost(_) | Message::Missing { .. } | Message::Unreachable) => {
                panic!("unexpected {other:?}")
            }
        }
    }
    records
}

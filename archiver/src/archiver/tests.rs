mod fake_topic;
#[path = "../../../crates/table/src/faulty_store.rs"]
mod faulty_store;
mod world;

use std::time::Duration;

use bytes::Bytes;
use trailgate_schemas::{AUDIT_EVENT_SCHEMA, SchemaId};
use trailgate_table::Table;
use trailgate_testkit::until;
use trailgate_topics::Offset;

use self::world::{OWN, World, next_version, of_next_version};
use crate::config::AcceptedGap;
use crate::samples::framed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_become_rows_and_are_then_delivered() {
    let world = World::new(2);
    world.append(0, 10);
    world.append(1, 5);
    let archiver = world.archiver().await;
    archiver.assign(&[0, 1]).await;
    world.archived(15).await;
    until("delivery", async || {
        let done = |p| archiver.committable(p) == Some(world.end(p));
        (done(0) && done(1)).then_some(())
    })
    .await;
    world.check(15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_delivered_before_it_is_in_the_table() {
    let world = World::new(1);
    let archiver = world.archiver().await;
    archiver.assign(&[0]).await;
    archiver.faults.go_down_at_next_commit();
    world.append(0, 5);
    until("the outage to be told", async || archiver.says("table", "store")).await;
    assert_eq!(archiver.committable(0), None);
    archiver.faults.mend();
    world.archived(5).await;
    world.check(5).await;
    until("the end of the outage to be told", async || archiver.is_ready().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_holds_no_more_than_two_batches_in_memory() {
    let world = World::new(1);
    let archiver = world.archiver().await;
    archiver.assign(&[0]).await;
    archiver.faults.go_down_at_next_commit();
    world.append(0, 5_000);
    until("the outage to be told", async || archiver.says("table", "store")).await;
    // The consumer stands still although there is more to read.
    let mut taken = 0;
    until("the archiver to take no more", async || {
        let before = std::mem::replace(&mut taken, archiver.handed_over());
        (taken > 0 && taken == before).then_some(())
    })
    .await;
    let most = 2 * world::FLUSH_BYTES / crate::limits::RECORD_OVERHEAD_BYTES + world::CHANNEL + 2;
    assert!(taken <= most, "{taken} taken, {most} allowed");
    archiver.faults.mend();
    world.archived(5_000).await;
    world.check(5_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_answered_when_what_was_held_is_archived() {
    let world = World::new(2);
    let archiver = world.patient_archiver().await;
    archiver.assign(&[0, 1]).await;
    world.append(0, 7);
    until("records to be taken", async || (archiver.handed_over() == 7).then_some(())).await;
    archiver.revoke(&[0], Duration::from_secs(30)).await;
    world.check(7).await;
    assert_eq!(archiver.committable(0), Some(world.end(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_answered_in_time_even_in_an_outage() {
    let world = World::new(1);
    let archiver = world.archiver().await;
    archiver.assign(&[0]).await;
    archiver.faults.go_down();
    world.append(0, 7);
    until("the outage to be told", async || archiver.says("table", "store")).await;
    archiver.revoke(&[0], Duration::from_millis(300)).await;
    let heir = world.archiver().await;
    heir.assign(&[0]).await;
    world.archived(7).await;
    archiver.faults.mend();
    world.check(7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_can_not_be_had_holds_up_its_partition_alone() {
    let world = World::new(2);
    world.registry.withhold(OWN);
    let archiver = world.archiver().await;
    world.append(0, 5);
    archiver.assign(&[0, 1]).await;
    until("the wait to be told", async || archiver.says("archiver", "schema")).await;
    world.registry.add(SchemaId(9), AUDIT_EVENT_SCHEMA);
    world.append_value(1, framed(SchemaId(9), 1_000_000));
    world.archived(1).await;
    world.registry.add(OWN, AUDIT_EVENT_SCHEMA);
    world.append(0, 3);
    world.archived(9).await;
    world.check(9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_the_table_lacks_stops_its_partition_alone_and_says_so() {
    let world = World::new(2);
    world.registry.add(SchemaId(8), &next_version());
    let archiver = world.archiver().await;
    archiver.assign(&[0, 1]).await;
    world.append(0, 2);
    world.append_value(0, of_next_version(500_000));
    world.append(0, 2);
    world.append(1, 4);
    world.archived(6).await;
    until("the stop", async || archiver.says("archiver", "upgrade the archiver")).await;
    world.check(6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_a_schema_that_no_registry_has_become_undecodable_rows() {
    let world = World::new(1);
    let archiver = world.archiver().await;
    archiver.assign(&[0]).await;
    world.append(0, 2);
    world.append_value(0, framed(SchemaId(77), 1));
    world.append_value(0, Bytes::from_static(b"not framed"));
    world.append(0, 2);
    world.archived(6).await;
    assert_eq!(world.count("kind = 'undecodable'").await, 2);
    world.check(6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_range_stops_its_partition_until_it_is_accepted() {
    let world = World::new(2);
    world.append(0, 10);
    world.append(1, 2);
    let low = world.trim(0, 4);
    let archiver = world.archiver().await;
    archiver.assign(&[0, 1]).await;
    until("the gap to be told", async || archiver.says("archiver", "gap")).await;
    world.archived(2).await;
    archiver.stop().await;
    let Offset(low) = low;
    let gap = |low| vec![AcceptedGap { partition: 0, wanted: 0, low }];
    let other = world.archiver_that_accepts(gap(low + 1)).await;
    other.assign(&[0, 1]).await;
    until("the gap to be told", async || other.says("archiver", "gap")).await;
    other.stop().await;
    let heir = world.archiver_that_accepts(gap(low)).await;
    heir.assign(&[0, 1]).await;
    world.archived(8).await;
    world.check(8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_archives_what_is_held() {
    let world = World::new(1);
    let archiver = world.patient_archiver().await;
    archiver.assign(&[0]).await;
    world.append(0, 7);
    until("records to be taken", async || (archiver.handed_over() == 7).then_some(())).await;
    archiver.stop().await;
    world.check(7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_twice_whatever_fails_and_whoever_holds() {
    for seed in 1..=6 {
        world::storm(seed).await;
    }
}

#[test]
fn a_table_is_what_archivers_share() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Table>();
}

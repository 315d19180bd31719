//! No event is missing from an answer and none is there twice, wherever the archiver is.

use std::time::{Duration, Instant};

use serde_json::Value;
use trailgate_testkit::{until, until_within};

use crate::world::{Plan, World, events};

const COUNT: &str = "SELECT count(*) AS n, count(DISTINCT event_id) AS d FROM events";

#[tokio::test(flavor = "multi_thread")]
async fn table_and_tail_together_have_each_event_once_at_every_moment() {
    let world = World::start().await;
    let mut sent = 0;
    let mut seen = 0;
    for round in 0..12 {
        world.log.append(&events(50)).await;
        sent += 50;
        // The archiver comes behind, by turns not at all, a little, or all the way.
        world.log.archive([0, 5, 100][round % 3]).await;
        for _ in 0..3 {
            let (rows, _) = world.rows(COUNT).await;
            let (count, distinct) =
                (rows[0]["n"].as_i64().unwrap(), rows[0]["d"].as_i64().unwrap());
            assert_eq!(count, distinct, "round {round}: an event is there twice");
            assert!(count >= seen && count <= sent, "round {round}: {count} after {seen}");
            seen = count;
        }
    }
    until("all are seen", async || (world.number(COUNT).await == sent).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_visible_within_a_second() {
    let world = World::start().await;
    // The first statement pays for what is only done once.
    world.number(COUNT).await;
    let since = Instant::now();
    world.log.append(&events(1)).await;
    until_within(Duration::from_secs(1), "the event is visible", async || {
        (world.number(COUNT).await == 1).then_some(())
    })
    .await;
    assert!(since.elapsed() < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_before_complete_until_is_in_the_answer() {
    let world = World::start().await;
    for _ in 0..20 {
        let before = micros(&world.rows("SELECT 1 AS one").await.1);
        world.log.append(&events(20)).await;
        let (rows, last) = world.rows(COUNT).await;
        if rows[0]["n"] == 0 {
            assert!(micros(&last) <= Some(chrono_now()), "{last}");
        }
        assert!(micros(&last) >= before, "complete_until went back");
    }
    let (_, last) = until("the tail reads along", async || {
        let (rows, last) = world.rows(COUNT).await;
        (rows[0]["n"] == 400 && last["tail"] == "following").then_some((rows, last))
    })
    .await;
    assert!(last["complete_until"].is_string(), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_is_full_says_so_and_leaves_nothing_out() {
    let configure = |config: &mut trailgate_query::QueryConfig| {
        config.tail_memory_bytes = 64 * 1024;
        config.tail_disk_bytes = 64 * 1024;
    };
    let world = World::with(Plan { configure, ..Plan::default() }).await;
    let mut sent = 0;
    for _ in 0..40 {
        world.log.append(&events(100)).await;
        sent += 100;
    }
    let last = until("the tail is full", async || {
        let (_, last) = world.rows(COUNT).await;
        (last["tail"] == "full").then_some(last)
    })
    .await;
    let (rows, _) = world.rows(COUNT).await;
    assert!(rows[0]["n"].as_i64() < Some(sent));
    // What is before the moment that it names is all there: the archiver takes it, and goes on.
    assert!(last["complete_until"].is_string());
    while world.log.archive(200).await > 0 {}
    until("all are seen", async || (world.number(COUNT).await == sent).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_spilled_are_read_back() {
    let configure = |config: &mut trailgate_query::QueryConfig| config.tail_memory_bytes = 1024;
    let world = World::with(Plan { configure, ..Plan::default() }).await;
    for _ in 0..10 {
        world.log.append(&events(100)).await;
    }
    until("all are seen", async || (world.number(COUNT).await == 1000).then_some(())).await;
    let sum = "SELECT sum(stream_seq) AS s FROM events";
    assert_eq!(world.number(sum).await, 10 * (0..100).sum::<i64>());
    world.log.archive(1000).await;
    until("the tail is empty again", async || (world.number(sum).await == 49_500).then_some(()))
        .await;
}

fn micros(last: &Value) -> Option<String> {
    last["complete_until"].as_str().map(str::to_owned)
}

fn chrono_now() -> String {
    use trailgate_service::{Clock, SystemClock};
    trailgate_query::rfc3339(SystemClock.now())
}

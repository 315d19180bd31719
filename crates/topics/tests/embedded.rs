//! The embedded log keeps every backbone's promises; each test has a log of its own.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod contract;

use std::sync::Arc;

use tempfile::TempDir;
use trailgate_service::SystemClock;
use trailgate_topics::{Backbone, EmbeddedConfig, EmbeddedLog, Topic};

async fn fresh_log() -> (TempDir, Arc<dyn Backbone>) {
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig { folder: folder.path().join("log"), partitions: 4 };
    let log: Arc<dyn Backbone> =
        Arc::new(EmbeddedLog::open(&config, Arc::new(SystemClock)).unwrap());
    log.ensure(Topic::ALL).await.unwrap();
    (folder, log)
}

macro_rules! holds {
    ($($promise:ident,)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            let (_folder, log) = fresh_log().await;
            contract::$promise(&log).await;
        })+
    };
}

holds! {
    ensuring_again_changes_nothing,
    acknowledged_records_are_read_in_the_order_of_the_calls,
    a_record_that_is_too_long_is_not_written,
    places_are_found_by_time,
    a_tail_begins_where_it_is_told_and_sees_what_comes,
    a_tail_says_when_it_has_seen_everything,
    a_tail_behind_a_trim_is_told_so,
    a_partition_without_a_start_is_not_read,
    a_dropped_record_holds_the_committed_place,
    a_seek_reads_again_and_a_stop_stops,
    a_revocation_waits_for_its_owner,
    members_share_partitions_and_a_leaver_s_go_on,
    a_missing_range_is_told_and_stops_its_partition,
    outputs_and_state_come_once,
    a_restart_goes_on_from_the_committed_place_and_state,
    a_waiting_record_is_offered_again_and_holds_only_its_partition,
    steps_that_end_slowly_take_many_records,
    a_failed_step_leaves_nothing,
    two_instances_share_the_input_and_hand_state_over,
    a_processor_without_sense_is_refused,
    a_restart_goes_on_in_each_input_from_its_place,
    a_waiting_record_holds_only_its_input_of_its_partition,
    all_inputs_of_a_partition_are_with_one_instance,
    a_missing_range_of_one_input_stops_all_inputs_of_its_partition,
    only_fully_compatible_schemas_are_registered,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_promises_hold_on_one_log_side_by_side() {
    let (_folder, log) = fresh_log().await;
    contract::all(&log).await;
}

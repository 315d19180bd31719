use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use trailgate_schemas::{
    AUDIT_EVENT_SCHEMA, AUDIT_EVENT_VERSIONS, EventWriter, HoldId, Kind, Redaction, SchemaId,
};
use trailgate_service::{Ids as _, RandomIds};

use super::*;
use crate::decoder::{Decoder, LogRecord};
use crate::faulty_store::{Fault, Faults};
use crate::files::encode;
use crate::location::TableLocation;
use crate::samples::{ID, NOON, event, framed, record};

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn location(&self) -> TableLocation {
        TableLocation::Folder(self.folder.path().join("table"))
    }

    async fn table(&self) -> Table {
        Table::open_or_create(&self.location()).await.unwrap()
    }

    async fn faulty(&self) -> (Table, Faults) {
        let faults = Faults::default();
        let location = self.location();
        let table = Table::open_or_create_through(&location, |store| faults.around(store)).await;
        (table.unwrap(), faults)
    }
}

/// `count` records of `partition` behind what `base` has of it.
fn rows_of(base: &Snapshot, partition: u32, count: i64) -> PendingCommit {
    rows_of_each(base, &[partition], count)
}

fn rows_of_each(base: &Snapshot, partitions: &[u32], count: i64) -> PendingCommit {
    let mut decoder = Decoder::new(base.stored_schema());
    decoder.know(ID, AUDIT_EVENT_SCHEMA).unwrap();
    let mut records = Vec::new();
    let mut after = Ids::new();
    for partition in partitions.iter().map(|partition| LogPartition(*partition)) {
        let from = base.ids_of(partition);
        records.extend((0..count).map(|n| LogRecord {
            partition,
            offset: from.next_offset + n,
            ..record(from.tree_size + n, framed(1000 * i64::from(partition.0) + from.tree_size + n))
        }));
        let ids = PartitionIds {
            next_offset: from.next_offset + count,
            tree_size: from.tree_size + count,
        };
        after.insert(partition, ids);
    }
    let batches = decoder.decode(&records).unwrap();
    let files = encode(&batches, NOON, || RandomIds.next()).unwrap();
    PendingCommit::new(base.clone(), files, after)
}

fn committed(outcome: CommitOutcome) -> Snapshot {
    match outcome {
        CommitOutcome::Committed(snapshot) => snapshot,
        other => panic!("not committed: {other:?}"),
    }
}

fn pending(outcome: CommitOutcome) -> PendingCommit {
    match outcome {
        CommitOutcome::Pending(pending, _) => pending,
        other => panic!("not pending: {other:?}"),
    }
}

async fn count(snapshot: &Snapshot, what: &str) -> i64 {
    let context = SessionContext::new();
    context.register_table("events", snapshot.provider().await.unwrap()).unwrap();
    let rows = context.sql(&format!("select {what} from events")).await.unwrap();
    let batches = rows.collect().await.unwrap();
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

/// Every row is there once, and as many as the ids say.
async fn exactly(table: &Table, rows: i64) {
    let snapshot = table.snapshot().await.unwrap();
    assert_eq!(count(&snapshot, "count(*)").await, rows);
    assert_eq!(count(&snapshot, "count(distinct event_id)").await, rows);
    assert_eq!(snapshot.ids().values().map(|ids| ids.tree_size).sum::<i64>(), rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_ids_become_visible_together() {
    let place = Place::new();
    let table = place.table().await;
    let empty = table.snapshot().await.unwrap();
    let after = committed(table.commit(rows_of(&empty, 3, 5)).await);
    assert_eq!(after.ids_of(LogPartition(3)), PartitionIds { next_offset: 5, tree_size: 5 });
    assert_eq!(empty.ids_of(LogPartition(3)), PartitionIds::default());
    assert_eq!(count(&empty, "count(*)").await, 0);
    let reopened = Table::open(&place.location()).await.unwrap();
    exactly(&reopened, 5).await;
    assert_eq!(reopened.snapshot().await.unwrap().ids(), after.ids());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_different_partitions_do_not_disturb_one_another() {
    let place = Place::new();
    let (one, other) = (place.table().await, place.table().await);
    let mine = rows_of(&one.snapshot().await.unwrap(), 0, 5);
    let yours = rows_of(&other.snapshot().await.unwrap(), 1, 7);
    let (mine, yours) = tokio::join!(one.commit(mine), other.commit(yours));
    committed(mine);
    committed(yours);
    exactly(&one, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_of_one_partition_the_later_is_dropped() {
    let place = Place::new();
    let (one, other) = (place.table().await, place.table().await);
    let late = rows_of_each(&one.snapshot().await.unwrap(), &[0, 1], 5);
    committed(other.commit(rows_of(&other.snapshot().await.unwrap(), 0, 7)).await);
    let CommitOutcome::Dropped(now) = one.commit(late).await else { panic!("dropped") };
    assert_eq!(now.ids_of(LogPartition(0)).next_offset, 7);
    assert_eq!(now.ids_of(LogPartition(1)).next_offset, 0);
    exactly(&one, 7).await;
}

/// Writes 3 rows `times` times, as far as others don't; gives how many rows it wrote.
async fn race(table: Table, times: usize) -> i64 {
    let mut written = 0;
    for _ in 0..times {
        let base = table.snapshot().await.unwrap();
        match table.commit(rows_of(&base, 0, 3)).await {
            CommitOutcome::Committed(_) => written += 3,
            CommitOutcome::Dropped(_) => {}
            CommitOutcome::Pending(_, error) => panic!("pending: {error}"),
        }
    }
    written
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_racing_for_one_partition_write_each_row_once() {
    let place = Place::new();
    place.table().await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        writers.spawn(race(place.table().await, 6));
    }
    let written: i64 = writers.join_all().await.into_iter().sum();
    assert!(written >= 3);
    exactly(&place.table().await, written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_found_committed() {
    let place = Place::new();
    let (table, faults) = place.faulty().await;
    let rows = rows_of(&table.snapshot().await.unwrap(), 0, 5);
    faults.on_commits([Fault::After]);
    committed(table.commit(rows).await);
    exactly(&table, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_failed_is_tried_again_with_the_same_files() {
    let place = Place::new();
    let (table, faults) = place.faulty().await;
    let rows = rows_of(&table.snapshot().await.unwrap(), 0, 5);
    faults.on_commits([Fault::Before]);
    let again = pending(table.commit(rows).await);
    committed(table.commit(again).await);
    exactly(&table, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_in_an_outage_is_found_committed_after_it() {
    let place = Place::new();
    let (table, faults) = place.faulty().await;
    let rows = rows_of(&table.snapshot().await.unwrap(), 0, 5);
    faults.on_commits([Fault::AfterThenDown]);
    let unknown = pending(table.commit(rows).await);
    let unknown = pending(table.commit(unknown).await);
    faults.mend();
    committed(table.commit(unknown).await);
    exactly(&table, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_failed_and_was_overtaken_is_dropped() {
    let place = Place::new();
    let (table, faults) = place.faulty().await;
    let rows = rows_of(&table.snapshot().await.unwrap(), 0, 5);
    faults.on_commits([Fault::Before]);
    let again = pending(table.commit(rows).await);
    let other = place.table().await;
    committed(other.commit(rows_of(&other.snapshot().await.unwrap(), 0, 2)).await);
    assert!(matches!(table.commit(again).await, CommitOutcome::Dropped(_)));
    exactly(&table, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_could_not_be_put_are_put_again() {
    let place = Place::new();
    let (table, faults) = place.faulty().await;
    let rows = rows_of(&table.snapshot().await.unwrap(), 0, 5);
    faults.on_files([Fault::Before, Fault::After]);
    let again = pending(table.commit(rows).await);
    let again = pending(table.commit(again).await);
    committed(table.commit(again).await);
    exactly(&table, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_survive_checkpoints_and_are_what_the_library_reads() {
    let place = Place::new();
    let table = place.table().await;
    let commits = i64::from(crate::limits::CHECKPOINT_INTERVAL) + 5;
    for n in 0..commits {
        let base = table.snapshot().await.unwrap();
        committed(table.commit(rows_of(&base, u32::try_from(n % 3).unwrap(), 1)).await);
    }
    let checkpoints = std::fs::read_dir(place.folder.path().join("table/_delta_log")).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    assert!(checkpoints.map(name).any(|n| n.to_string_lossy().ends_with("checkpoint.parquet")));
    let reopened = Table::open(&place.location()).await.unwrap().snapshot().await.unwrap();
    assert_eq!(reopened.ids(), table.snapshot().await.unwrap().ids());
    for (partition, ids) in reopened.ids() {
        let id = |app_id: String| reopened.state.transaction_version(reopened.log.as_ref(), app_id);
        assert_eq!(id(partition.offset_app_id()).await.unwrap(), Some(ids.next_offset));
        assert_eq!(id(partition.size_app_id()).await.unwrap(), Some(ids.tree_size));
    }
    exactly(&table, commits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_proves_itself_and_does_so_again() {
    let table = Place::new().table().await;
    table.prove_exclusive_create().await.unwrap();
    table.prove_exclusive_create().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_overwrites_is_refused() {
    let place = Place::new();
    let (table, faults) = place.faulty().await;
    faults.overwrite();
    assert_eq!(table.prove_exclusive_create().await, Err(TableError::NotExclusive));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_table_that_many_make_at_once_is_made_once() {
    let place = Place::new();
    let mut makers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let location = place.location();
        makers.spawn(async move { Table::open_or_create(&location).await.unwrap() });
    }
    let tables = makers.join_all().await;
    for table in &tables {
        assert_eq!(table.snapshot().await.unwrap().version(), 0);
    }
}

/// What a look for a session reads, as DataFusion tells it.
async fn look_for(table: &Table, session: impl std::fmt::Display) -> String {
    let context = SessionContext::new();
    let snapshot = table.snapshot().await.unwrap();
    context.register_table("events", snapshot.provider().await.unwrap()).unwrap();
    let sql = format!("explain analyze select event_id from events where session_id = '{session}'");
    let plan = context.sql(&sql).await.unwrap().collect().await.unwrap();
    arrow::util::pretty::pretty_format_batches(&plan).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_for_a_session_opens_no_file_and_no_row_group_that_can_not_have_it() {
    let table = Place::new();
    let table = table.table().await;
    for _ in 0..3 {
        let base = table.snapshot().await.unwrap();
        committed(table.commit(rows_of(&base, 0, 30)).await);
    }
    let found = look_for(&table, event(35).session_id).await;
    assert!(found.contains("count_files_scanned=1"), "{found}");
    assert!(found.contains("row_groups_pruned_bloom_filter=1 total → 1 matched"), "{found}");
    // Between two that a file has: only its bloom filter knows.
    let between = format!("{}~", event(35).session_id);
    let nowhere = look_for(&table, between).await;
    assert!(nowhere.contains("row_groups_pruned_bloom_filter=1 total → 0 matched"), "{nowhere}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_once_pinned_keeps_its_rows_and_ids() {
    let place = Place::new();
    let table = place.table().await;
    let pinned = committed(table.commit(rows_of(&table.snapshot().await.unwrap(), 0, 5)).await);
    committed(table.commit(rows_of(&pinned, 0, 5)).await);
    assert_eq!(count(&pinned, "count(*)").await, 5);
    assert_eq!(pinned.ids_of(LogPartition(0)).tree_size, 5);
    exactly(&table, 10).await;
}

/// Rows as the first version of the schema wrote them: the fields that it lacks come last, and are
/// null and an empty list; but for what lies within redactions, of which there are none.
fn rows_of_the_first_version(base: &Snapshot, count: i64) -> PendingCommit {
    let first = SchemaId(8);
    let mut decoder = Decoder::new(base.stored_schema());
    decoder.know(first, AUDIT_EVENT_VERSIONS[0].schema).unwrap();
    let records: Vec<LogRecord> = (0..count)
        .map(|n| {
            let mut event = event(n);
            event.redactions.clear();
            let today = EventWriter::new(ID).write(&event).unwrap();
            let datum = today[5..].strip_suffix(&[0; 7]).unwrap();
            record(n, [&[0, 0, 0, 0, 8], datum].concat().into())
        })
        .collect();
    let batches = decoder.decode(&records).unwrap();
    let files = encode(&batches, NOON, || RandomIds.next()).unwrap();
    let ids = PartitionIds { next_offset: count, tree_size: count };
    PendingCommit::new(base.clone(), files, [(LogPartition(0), ids)].into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_the_first_version_gets_the_columns_it_lacks_and_keeps_its_rows() {
    let place = Place::new();
    let first = AUDIT_EVENT_VERSIONS[0].schema;
    let older = Table::make_older(&place.location(), first).await.unwrap();
    let base = older.snapshot().await.unwrap();
    let mut decoder = Decoder::new(base.stored_schema());
    let lacks = decoder.know(ID, AUDIT_EVENT_SCHEMA).unwrap_err().to_string();
    assert!(lacks.contains("field redactions.end, which the table lacks"), "{lacks}");
    let before = committed(older.commit(rows_of_the_first_version(&base, 3)).await);
    assert_eq!(before.ids_of(LogPartition(0)).tree_size, 3);

    let table = place.table().await;
    let now = table.snapshot().await.unwrap();
    assert_eq!(count(&now, "count(*)").await, 3);
    assert_eq!(count(&now, "count(hold_id)").await, 0);
    let mut held = event(7);
    held.kind = Kind::Held;
    held.hold_id = Some(HoldId(uuid::Uuid::from_u128(1)));
    held.hold_reviewers = vec!["leads".to_owned()];
    held.redactions = vec![Redaction {
        rule: "card".to_owned(),
        field: "payload".to_owned(),
        count: 1,
        end: Some(9),
        validators: vec!["luhn".to_owned()],
        ..Redaction::default()
    }];
    let mut decoder = Decoder::new(now.stored_schema());
    decoder.know(ID, AUDIT_EVENT_SCHEMA).unwrap();
    let value = EventWriter::new(ID).write(&held).unwrap();
    let batches = decoder.decode(&[record(3, value.into())]).unwrap();
    let files = encode(&batches, NOON, || RandomIds.next()).unwrap();
    let ids = PartitionIds { next_offset: 4, tree_size: 4 };
    let commit = PendingCommit::new(now, files, [(LogPartition(0), ids)].into());
    let after = committed(table.commit(commit).await);
    assert_eq!(count(&after, "count(*)").await, 4);
    assert_eq!(count(&after, "count(hold_id)").await, 1);
    assert_eq!(count(&after, "count(distinct event_id)").await, 4);
    // What lies within the list is there for new rows, and absent of those that were.
    assert_eq!(count(&after, "count(redactions[1]['end'])").await, 1);
    assert_eq!(count(&after, "count(redactions[1]['validators'][1])").await, 1);
    assert_eq!(count(&after, "count(redactions[1]['rule'])").await, 1);
}

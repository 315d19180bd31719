use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field, Schema};
use trailgate_table::{LOG_INDEX, Table, TableLocation};

use super::*;

const P: LogPartition = LogPartition(0);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(LOG_INDEX, DataType::Int64, false)]))
}

fn rows(first_index: i64, count: i64) -> NewRows {
    let indices: ArrayRef =
        Arc::new(Int64Array::from_iter_values(first_index..first_index + count));
    let batch = RecordBatch::try_new(schema(), vec![indices]).unwrap();
    NewRows { partition: P, first_index, count, last_at: Micros(first_index), batches: vec![batch] }
}

async fn tail(folder: &std::path::Path, memory_bytes: usize) -> HotTail {
    let location = TableLocation::Folder(folder.join("table"));
    let table = Table::open_or_create(&location).await.unwrap();
    let limits =
        TailLimits { memory_bytes, disk_bytes: 1024 * 1024, scratch: folder.join("scratch") };
    HotTail::behind(table.snapshot().await.unwrap(), schema(), 1, limits)
}

#[tokio::test]
async fn rows_that_come_one_by_one_lie_in_few_chunks_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let tail = tail(folder.path(), usize::MAX).await;
    for n in 0..1000 {
        tail.take(vec![rows(n, 1)], &[]);
    }
    let pinned = tail.pin();
    assert!(pinned.tail.len() < 15, "{} chunks", pinned.tail.len());
    let mut found = Vec::new();
    for chunk in &pinned.tail {
        let Rows::Memory(batches) = &chunk.rows else { panic!("spilled") };
        for batch in batches.iter() {
            let column = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
            found.extend_from_slice(column.values());
        }
    }
    assert_eq!(found, (0..1000).collect::<Vec<_>>());
    let memory: usize = tail.state().partitions[&P].memory();
    assert_eq!(tail.size(), (memory, 0));
}

#[tokio::test]
async fn a_disk_that_refuses_makes_the_tail_full_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // There is no scratch folder, so nothing can be written to it.
    let tail = tail(folder.path(), 1024).await;
    tail.take(vec![rows(0, 2000)], &[]);
    assert!(!tail.has_room());
    assert_eq!(tail.pin().state, TailState::Full);
    assert_eq!(tail.pin().tail.len(), 1);
    std::fs::create_dir(folder.path().join("scratch")).unwrap();
    tail.take(vec![rows(2000, 1)], &[]);
    assert!(tail.has_room());
    assert_eq!(tail.pin().tail.len(), 2);
}

#[tokio::test]
async fn a_table_with_other_columns_makes_the_tail_begin_again() {
    let folder = tempfile::tempdir().unwrap();
    let tail = tail(folder.path(), 1024).await;
    let other = Arc::new(Schema::new(vec![Field::new("more", DataType::Int64, true)]));
    tail.archived(tail.snapshot(), &schema());
    assert!(!tail.is_outdated());
    tail.archived(tail.snapshot(), &other);
    assert!(tail.is_outdated());
    tail.restart(tail.snapshot(), other, 1);
    assert!(!tail.is_outdated());
}

#[tokio::test]
async fn a_file_that_a_statement_reads_outlives_a_restart_of_the_tail() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("scratch")).unwrap();
    let tail = tail(folder.path(), 1024).await;
    tail.take(vec![rows(0, 2000)], &[]);
    let pinned = tail.pin();
    tail.restart(tail.snapshot(), schema(), 1);
    tail.take(vec![rows(0, 2000)], &[]);
    let again = tail.pin();
    drop(pinned);
    let Rows::Disk(spilled) = &again.tail[0].rows else { panic!("in memory") };
    assert_eq!(spilled.read(&schema()).unwrap().count(), 1);
}

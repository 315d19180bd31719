//! Reading the partitions' ids from the table's log, all in one pass.
//!
//! The library reads one id in a pass over the whole log; a table has two for each partition, and
//! nobody but the log knows which partitions there are. So the newest checkpoint's `txn` column and
//! the commits behind it are read here. A test holds the result against the library's.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use bytes::Bytes;
use deltalake::logstore::{LogStore, LogStoreRef};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use serde::Deserialize;

use crate::error::TableError;
use crate::ids::{self, Ids};
use crate::limits::LOG_READS;

/// The ids of `version`, read from the newest checkpoint at or before it and the commits behind.
pub(crate) async fn ids_at(log: &LogStoreRef, version: u64) -> Result<Ids, TableError> {
    let mut ids = Ids::new();
    let after = match newest_checkpoint(log, version).await? {
        Some(checkpoint) => {
            for part in &checkpoint.parts {
                take_checkpoint(log, part, &mut ids).await?;
            }
            checkpoint.version + 1
        }
        None => 0,
    };
    take_commits(log, after, version, &mut ids).await?;
    Ok(ids)
}

/// The ids of `version`, from those of the earlier version `from`.
pub(crate) async fn ids_after(
    log: &LogStoreRef,
    known: &Ids,
    from: u64,
    version: u64,
) -> Result<Ids, TableError> {
    let mut ids = known.clone();
    match take_commits(log, from + 1, version, &mut ids).await {
        // Cleaned up since; the checkpoint has what they had.
        Err(TableError::Broken { code: "commit_missing" }) => ids_at(log, version).await,
        other => other.map(|()| ids),
    }
}

async fn take_commits(
    log: &LogStoreRef,
    first: u64,
    last: u64,
    ids: &mut Ids,
) -> Result<(), TableError> {
    let mut commits = futures::stream::iter(first..=last)
        .map(|version| async move { log.read_commit_entry(version).await })
        .buffered(LOG_READS);
    while let Some(commit) = commits.try_next().await? {
        let commit = commit.ok_or(TableError::Broken { code: "commit_missing" })?;
        take_commit(&commit, ids)?;
    }
    Ok(())
}

fn take_commit(commit: &Bytes, ids: &mut Ids) -> Result<(), TableError> {
    #[derive(Deserialize)]
    struct Line {
        txn: Option<Txn>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Txn {
        app_id: String,
        version: i64,
    }
    for line in commit.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Line =
            serde_json::from_slice(line).map_err(|_| TableError::Broken { code: "commit_json" })?;
        if let Some(txn) = line.txn {
            ids::take(ids, &txn.app_id, txn.version);
        }
    }
    Ok(())
}

struct Checkpoint {
    version: u64,
    parts: Vec<Path>,
}

async fn newest_checkpoint(
    log: &LogStoreRef,
    version: u64,
) -> Result<Option<Checkpoint>, TableError> {
    let store = log.object_store(None);
    let folder = Path::from("_delta_log");
    let hinted = hint(log).await.filter(|hinted| *hinted <= version);
    // Names sort by version, and this one before every file of its version.
    let offset = folder.clone().join(format!("{:020}", hinted.unwrap_or(0)));
    let mut listed = store.list_with_offset(Some(&folder), &offset);
    let mut found: Vec<(u64, usize, Path)> = Vec::new();
    while let Some(meta) = listed.try_next().await? {
        let Some(name) = meta.location.filename() else { continue };
        match checkpoint_name(name) {
            Some((at, _)) if at > version => {}
            Some((at, parts)) => found.push((at, parts, meta.location)),
            None => {}
        }
    }
    found.sort();
    Ok(newest_whole(&found))
}

/// The newest version all of whose parts were found.
fn newest_whole(found: &[(u64, usize, Path)]) -> Option<Checkpoint> {
    found.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).rev().find_map(|parts| {
        let (version, wanted, _) = parts.first()?;
        let whole = *wanted == parts.len();
        let paths = || parts.iter().map(|(_, _, path)| path.clone()).collect();
        whole.then(|| Checkpoint { version: *version, parts: paths() })
    })
}

/// Version and number of parts in the name of a classic checkpoint, the only kind that the writers
/// of this table make.
fn checkpoint_name(name: &str) -> Option<(u64, usize)> {
    let (version, rest) = name.split_once(".checkpoint.")?;
    let version = version.parse().ok()?;
    match rest.split('.').collect::<Vec<_>>().as_slice() {
        ["parquet"] => Some((version, 1)),
        [_, parts, "parquet"] => Some((version, parts.parse().ok()?)),
        _ => None,
    }
}

/// Where the newest checkpoint is said to be. Only a hint: without it the whole log is listed.
async fn hint(log: &LogStoreRef) -> Option<u64> {
    #[derive(Deserialize)]
    struct Hint {
        version: u64,
    }
    let place = Path::from("_delta_log/_last_checkpoint");
    let bytes = log.object_store(None).get(&place).await.ok()?.bytes().await.ok()?;
    serde_json::from_slice::<Hint>(&bytes).ok().map(|hint| hint.version)
}

async fn take_checkpoint(log: &LogStoreRef, part: &Path, ids: &mut Ids) -> Result<(), TableError> {
    let broken = |_| TableError::Broken { code: "checkpoint" };
    let store = log.object_store(None);
    let size = store.head(part).await?.size;
    let file = StoredFile { store, path: part.clone(), size };
    let builder = ParquetRecordBatchStreamBuilder::new(file).await.map_err(broken)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["txn.appId", "txn.version"]);
    let mut batches = builder.with_projection(mask).build().map_err(broken)?;
    while let Some(batch) = batches.try_next().await.map_err(broken)? {
        take_batch(&batch, ids).ok_or(TableError::Broken { code: "checkpoint" })?;
    }
    Ok(())
}

/// A file of the store as Parquet reads one: only the columns that are asked for.
struct StoredFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl AsyncFileReader for StoredFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        let failed = |error| ParquetError::External(Box::new(error));
        async move { self.store.get_range(&self.path, range).await.map_err(failed) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size;
            let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
            reader.load_and_finish(self, size).await.map(Arc::new)
        }
        .boxed()
    }
}

fn take_batch(batch: &RecordBatch, ids: &mut Ids) -> Option<()> {
    let Some(txn) = batch.column_by_name("txn") else { return Some(()) };
    let txn = txn.as_struct_opt()?;
    let app_ids = arrow::compute::cast(txn.column_by_name("appId")?, &DataType::Utf8).ok()?;
    let app_ids = app_ids.as_string_opt::<i32>()?;
    let versions = txn.column_by_name("version")?.as_primitive_opt::<Int64Type>()?;
    for row in (0..batch.num_rows()).filter(|row| txn.is_valid(*row) && app_ids.is_valid(*row)) {
        ids::take(ids, app_ids.value(row), versions.value(row));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_known_by_their_names() {
        assert_eq!(checkpoint_name("00000000000000000049.checkpoint.parquet"), Some((49, 1)));
        let part = "00000000000000000049.checkpoint.0000000001.0000000003.parquet";
        assert_eq!(checkpoint_name(part), Some((49, 3)));
        assert_eq!(checkpoint_name("00000000000000000049.json"), None);
    }

    #[test]
    fn a_checkpoint_with_a_part_missing_is_not_used() {
        let path = |name: &str| Path::from(name);
        let found = [(3, 1, path("a")), (7, 2, path("b")), (7, 2, path("c")), (9, 2, path("d"))];
        let newest = newest_whole(&found).unwrap();
        assert_eq!((newest.version, newest.parts.len()), (7, 2));
    }
}

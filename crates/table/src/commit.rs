//! Making rows part of the table, once: one Delta commit names the files and moves the ids of just
//! the partitions that they hold rows of.
//!
//! Delta compares nothing by itself. So a commit is made against the very snapshot that its ids
//! were read from; if somebody else moved one of them meanwhile, the library refuses it as
//! `ConcurrentTransaction` and the rows are dropped, for they are in the table or belong to
//! another. After any other failure nobody knows whether the commit was made: the log is read
//! again, and the ids tell.
//!
//! Files of rows that are dropped stay behind, named by no commit. They are not deleted here: the
//! commit may be one whose answer was lost, and then it names them. VACUUM takes what is old and
//! named by none.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::sync::Arc;

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{
    CommitBuilder, CommitConflictError, CommitProperties, FinalizedCommit, TransactionError,
};
use deltalake::kernel::{Action, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use tokio::time::timeout;

use crate::columns::PARTITION_COLUMNS;
use crate::error::TableError;
use crate::files::EncodedFile;
use crate::ids::{Ids, LogPartition, PartitionIds};
use crate::limits::{CLEANUP_INTERVAL, COMMIT_MAX, PUT_MAX};
use crate::snapshot::Snapshot;
use crate::table::Table;

/// Files on their way into the table.
#[derive(Debug)]
#[must_use = "files that no commit names are lost"]
pub struct PendingCommit {
    base: Snapshot,
    after: Ids,
    files: Vec<EncodedFile>,
    /// How many of the files are in the store.
    put: usize,
    fate: Fate,
}

/// What is known of the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It was not tried.
    Untried,
    /// It was tried, and nobody knows how it came out.
    Unknown,
    /// Another writer moved one of its ids; the log has not been read since.
    Overtaken,
}

/// What came of a commit.
#[derive(Debug)]
#[must_use = "a pending commit is tried again or its rows are read again"]
pub enum CommitOutcome {
    /// The rows are in the table. The snapshot has them.
    Committed(Snapshot),
    /// The rows were dropped: the snapshot's ids say where to go on.
    Dropped(Snapshot),
    /// Not now; call [`Table::commit`] again with it, after a while.
    Pending(PendingCommit, TableError),
}

impl PendingCommit {
    /// `files` with all rows of the partitions in `after` behind the ids of `base`, the snapshot
    /// that they were numbered by; `after` is where those partitions then stand.
    pub fn new(base: Snapshot, files: Vec<EncodedFile>, after: Ids) -> Self {
        Self { base, after, files, put: 0, fate: Fate::Untried }
    }

    /// How many rows it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.files.iter().map(EncodedFile::rows).sum()
    }

    /// How many bytes its files have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.files.iter().map(EncodedFile::size).sum()
    }

    fn before(&self) -> BTreeMap<LogPartition, PartitionIds> {
        self.after.keys().map(|partition| (*partition, self.base.ids_of(*partition))).collect()
    }
}

impl Table {
    /// Puts the files into the store and commits them, unless they are committed already. What it
    /// gives back says what is certain. A dropped future is a commit whose fate is unknown: read
    /// [`Table::snapshot`] before going on.
    pub async fn commit(&self, pending: PendingCommit) -> CommitOutcome {
        let mut pending = match self.settle(pending).await {
            Ok(pending) => pending,
            Err(outcome) => return *outcome,
        };
        if let Err(error) = self.put_files(&mut pending).await {
            return CommitOutcome::Pending(pending, error);
        }
        match timeout(COMMIT_MAX, self.try_commit(&pending)).await {
            Ok(Ok(finished)) => self.committed(pending, finished).await,
            Ok(Err(error)) if is_overtaken(&error) => {
                pending.fate = Fate::Overtaken;
                self.look_again(pending, TableError::from(error)).await
            }
            Ok(Err(error)) => {
                pending.fate = Fate::Unknown;
                self.look_again(pending, TableError::from(error)).await
            }
            Err(_) => {
                pending.fate = Fate::Unknown;
                self.look_again(pending, TableError::Store { code: "commit_timed_out" }).await
            }
        }
    }

    /// After a failure: what the log says, or, if nothing was committed, that it is to be tried
    /// again because of `error`.
    async fn look_again(&self, pending: PendingCommit, error: TableError) -> CommitOutcome {
        match self.settle(pending).await {
            Ok(pending) => CommitOutcome::Pending(pending, error),
            Err(outcome) => *outcome,
        }
    }

    /// Settles a commit whose fate is not known by the ids in the log: a commit that may be tried
    /// (again), or its outcome.
    async fn settle(&self, pending: PendingCommit) -> Result<PendingCommit, Box<CommitOutcome>> {
        if pending.fate == Fate::Untried {
            return Ok(pending);
        }
        let now = match self.snapshot().await {
            Ok(now) => now,
            Err(error) => return Err(Box::new(CommitOutcome::Pending(pending, error))),
        };
        let stands = |ids: &Ids| ids.iter().all(|(partition, ids)| now.ids_of(*partition) == *ids);
        match pending.fate {
            Fate::Overtaken => Err(Box::new(CommitOutcome::Dropped(now))),
            _ if stands(&pending.after) => Err(Box::new(CommitOutcome::Committed(now))),
            _ if stands(&pending.before()) => {
                Ok(PendingCommit { base: now, fate: Fate::Untried, ..pending })
            }
            _ => Err(Box::new(CommitOutcome::Dropped(now))),
        }
    }

    async fn put_files(&self, pending: &mut PendingCommit) -> Result<(), TableError> {
        let store = self.log.object_store(None);
        for file in &pending.files[pending.put..] {
            let place = Path::from(file.add.path.as_str());
            let payload = PutPayload::from_bytes(file.bytes.clone());
            timeout(PUT_MAX, store.put(&place, payload))
                .await
                .map_err(|_| TableError::Store { code: "put_timed_out" })??;
            pending.put += 1;
        }
        Ok(())
    }

    async fn try_commit(
        &self,
        pending: &PendingCommit,
    ) -> Result<FinalizedCommit, DeltaTableError> {
        let transactions = pending.after.iter().flat_map(|(partition, ids)| {
            [
                Transaction::new(partition.offset_app_id(), ids.next_offset),
                Transaction::new(partition.size_app_id(), ids.tree_size),
            ]
        });
        let cleans = (pending.base.version() + 1).is_multiple_of(CLEANUP_INTERVAL);
        let properties = CommitProperties::default()
            .with_application_transactions(transactions.collect())
            .with_cleanup_expired_logs(Some(cleans));
        let adds = pending.files.iter().map(|file| Action::Add(file.add.clone())).collect();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(PARTITION_COLUMNS.map(str::to_owned).to_vec()),
            predicate: None,
        };
        CommitBuilder::from(properties)
            .with_actions(adds)
            .build(Some(&pending.base.state), Arc::clone(&self.log), operation)
            .into_future()
            .await
    }

    async fn committed(&self, pending: PendingCommit, done: FinalizedCommit) -> CommitOutcome {
        match self.behind(&pending.base, done.snapshot).await {
            Ok(snapshot) => {
                self.learn(&snapshot);
                CommitOutcome::Committed(snapshot)
            }
            Err(error) => {
                let pending = PendingCommit { fate: Fate::Unknown, ..pending };
                self.look_again(pending, error).await
            }
        }
    }
}

/// Whether another writer moved one of the ids that this commit moves.
fn is_overtaken(error: &DeltaTableError) -> bool {
    let conflict = |source: &TransactionError| {
        matches!(
            source,
            TransactionError::CommitConflict(CommitConflictError::ConcurrentTransaction)
        )
    };
    matches!(error, DeltaTableError::Transaction { source } if conflict(source))
}

#[cfg(test)]
mod tests;

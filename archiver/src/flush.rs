//! One batch into the table: decode and encode off the runtime, commit until its outcome is
//! certain.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use trailgate_service::{Clock, Ids, Part};
use trailgate_table::{
    CommitOutcome, DecodeError, EncodeError, EncodedFile, KnowError, PendingCommit, Snapshot,
    Table, TableError, encode,
};

use crate::batch::Batch;
use crate::metrics::ArchiverMetrics;
use crate::retry::Retry;
use crate::schemas::Schemas;

/// What going on would only repeat: a mistake of this program, or a store that refuses.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// A schema that fitted the table does not any more.
    #[error(transparent)]
    Schema(#[from] KnowError),
    /// Rows could not be made.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Files could not be made.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The store refuses. What it has of the batch, its next snapshot says.
    #[error(transparent)]
    Store(#[from] TableError),
    /// The task that makes them panicked.
    #[error("making of rows panicked")]
    Panicked,
}

/// What a batch goes into the table with.
#[derive(Clone)]
pub(crate) struct Flush {
    pub(crate) table: Table,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) metrics: ArchiverMetrics,
    /// Says how the store is.
    pub(crate) store: Part,
    /// How long it waits between two attempts.
    pub(crate) retry: Retry,
}

/// A batch whose outcome is certain.
pub(crate) struct Flushed {
    pub(crate) batch: Batch,
    pub(crate) end: End,
}

/// How a batch came out.
pub(crate) enum End {
    /// Its rows are in the table.
    Committed(Snapshot),
    /// Its rows were dropped: another writer moved one of its partitions.
    Dropped(Snapshot),
}

impl Flush {
    /// Takes `batch` into the table behind `base`. Does not end before the outcome is certain;
    /// dropped before, the outcome is what the table's next snapshot says.
    pub(crate) async fn run(
        self,
        batch: Batch,
        base: Snapshot,
        schemas: Schemas,
    ) -> Result<Flushed, FlushError> {
        if !batch.follows(&base) {
            let now = self.look().await?;
            return Ok(Flushed { batch, end: End::Dropped(now) });
        }
        let (batch, files) = self.make_files(batch, base.clone(), schemas).await?;
        let pending = PendingCommit::new(base, files, batch.after().clone());
        let (rows, bytes) = (pending.rows(), pending.bytes());
        let end = self.commit(pending).await?;
        match &end {
            End::Committed(_) => self.metrics.committed(rows, batch.bytes(), bytes),
            End::Dropped(_) => self.metrics.dropped(rows),
        }
        Ok(Flushed { batch, end })
    }

    async fn make_files(
        &self,
        batch: Batch,
        base: Snapshot,
        schemas: Schemas,
    ) -> Result<(Batch, Vec<EncodedFile>), FlushError> {
        let (now, ids) = (self.clock.now(), Arc::clone(&self.ids));
        let made = spawn_blocking(move || {
            let rows = schemas.decoder(&base)?.decode(batch.records())?;
            let files = encode(&rows, now, || ids.next())?;
            Ok((batch, files))
        });
        made.await.map_err(|_| FlushError::Panicked)?
    }

    async fn commit(&self, mut pending: PendingCommit) -> Result<End, TableError> {
        let mut retry = self.retry;
        loop {
            match self.table.commit(pending).await {
                CommitOutcome::Committed(table) => {
                    self.store.ready();
                    return Ok(End::Committed(table));
                }
                CommitOutcome::Dropped(table) => {
                    self.store.ready();
                    return Ok(End::Dropped(table));
                }
                CommitOutcome::Pending(_, error) if !error.is_transient() => return Err(error),
                CommitOutcome::Pending(again, error) => {
                    self.store.waits("store", &error);
                    self.metrics.retried();
                    pending = again;
                }
            }
            retry.wait().await;
        }
    }

    /// The table's newest version, however long it takes, unless the store refuses.
    async fn look(&self) -> Result<Snapshot, TableError> {
        let mut retry = self.retry;
        loop {
            match self.table.snapshot().await {
                Ok(table) => return Ok(table),
                Err(error) if !error.is_transient() => return Err(error),
                Err(error) => self.store.waits("store", &error),
            }
            retry.wait().await;
        }
    }
}

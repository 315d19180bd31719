//! One version of the table, pinned: its rows, and how far it has come in each partition, read
//! from the very same version.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext, TableProviderBuilder};
use deltalake::logstore::LogStoreRef;
use deltalake::table::state::DeltaTableState;

use crate::error::TableError;
use crate::ids::{Ids, LogPartition, PartitionIds};

/// One version of the table. Cheap to clone; later commits don't change it.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) state: DeltaTableState,
    pub(crate) log: LogStoreRef,
    pub(crate) ids: Arc<Ids>,
}

impl Snapshot {
    /// The version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.state.version()
    }

    /// How far this version has come in each partition that it has rows of.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// How far this version has come in `partition`; the beginning if it has no rows of it.
    #[must_use]
    pub fn ids_of(&self, partition: LogPartition) -> PartitionIds {
        self.ids.get(&partition).copied().unwrap_or_default()
    }

    /// The rows as DataFusion reads them: files are skipped by partition values and statistics, row
    /// groups by statistics and bloom filters. Registers the table's store with the session that
    /// plans a scan.
    ///
    /// # Errors
    /// If the version needs what this reader can't do.
    pub async fn provider(&self) -> Result<Arc<dyn TableProvider>, TableError> {
        let builder: TableProviderBuilder = DeltaScanNext::builder();
        let scan = builder
            .with_log_store(Arc::clone(&self.log))
            .with_eager_snapshot(self.state.snapshot().clone())
            .build()
            .await
            .map_err(|_| TableError::Broken { code: "provider" })?;
        Ok(Arc::new(scan))
    }

    /// The columns as [`Self::provider`] gives them: texts as views, the retention class as a
    /// dictionary. A [`crate::Decoder`] made with it gives batches that fit beside the table's.
    ///
    /// # Errors
    /// If the version needs what this reader can't do.
    pub fn schema(&self) -> Result<SchemaRef, TableError> {
        let scan = DeltaScanNext::new(self.state.snapshot().clone(), DeltaScanConfig::new())
            .map_err(|_| TableError::Broken { code: "provider" })?;
        Ok(TableProvider::schema(&scan))
    }

    /// The columns as they are stored.
    #[must_use]
    pub fn stored_schema(&self) -> SchemaRef {
        self.state.snapshot().arrow_schema()
    }

    /// How many data files this version has.
    #[must_use]
    pub fn files(&self) -> usize {
        self.state.log_data().num_files()
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("version", &self.version())
            .field("ids", &self.ids)
            .finish()
    }
}

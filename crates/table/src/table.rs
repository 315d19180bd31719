//! A table: opened or made, and asked for its newest version.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{FieldRef, Schema};
use deltalake::DeltaTable;
use deltalake::kernel::StructField;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::logstore::LogStoreRef;
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::SaveMode;
use deltalake::table::state::DeltaTableState;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use crate::columns::{PARTITION_COLUMNS, STATS_COLUMNS, columns};
use crate::error::TableError;
use crate::fit::misfit;
use crate::limits::CHECKPOINT_INTERVAL;
use crate::location::TableLocation;
use crate::log::{ids_after, ids_at};
use crate::snapshot::Snapshot;
use crate::store::Place;

/// A table. Clones share what they know of its log.
#[derive(Clone)]
pub struct Table {
    pub(crate) log: LogStoreRef,
    newest: Arc<Mutex<Option<Snapshot>>>,
}

impl Table {
    /// Opens the table, or makes it if there is none; columns of this version that it lacks are
    /// added.
    ///
    /// # Errors
    /// If the store fails or what lies there is no table of this kind.
    pub async fn open_or_create(location: &TableLocation) -> Result<Self, TableError> {
        Self::open_or_create_through(location, |store| store).await
    }

    /// Like [`Self::open_or_create`], with something laid around the store: a test's failures.
    ///
    /// # Errors
    /// As [`Self::open_or_create`].
    pub async fn open_or_create_through(
        location: &TableLocation,
        wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Result<Self, TableError> {
        let table = Self::at(location, wrap)?;
        if !table.exists().await? {
            table.create(kernel_fields(columns().fields())?).await?;
        }
        table.add_columns().await?;
        table.snapshot().await?;
        Ok(table)
    }

    /// Opens the table.
    ///
    /// # Errors
    /// [`TableError::Absent`] if there is none (yet).
    pub async fn open(location: &TableLocation) -> Result<Self, TableError> {
        let table = Self::at(location, |store| store)?;
        if !table.exists().await? {
            return Err(TableError::Absent);
        }
        table.snapshot().await?;
        Ok(table)
    }

    /// Whether there is a table. The library does not tell a listing that is refused from one that
    /// fails, so a read is tried first.
    async fn exists(&self) -> Result<bool, TableError> {
        match self.log.object_store(None).head(&Path::from(PROOF)).await {
            Ok(_) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.log.is_delta_table_location().await?)
    }

    /// The newest version. Costs a look at the log's end, and what was committed since the last.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn snapshot(&self) -> Result<Snapshot, TableError> {
        let known = self.newest().clone();
        let snapshot = match known {
            None => {
                let state = DeltaTableState::try_new(self.log.as_ref(), None).await?;
                let ids = Arc::new(ids_at(&self.log, state.version()).await?);
                Snapshot { state, log: Arc::clone(&self.log), ids }
            }
            Some(known) => {
                let mut state = known.state.clone();
                state.update(self.log.as_ref(), None).await?;
                self.behind(&known, state).await?
            }
        };
        self.learn(&snapshot);
        Ok(snapshot)
    }

    /// Proves that the store refuses a second create of one key, which every commit rests on.
    ///
    /// # Errors
    /// [`TableError::NotExclusive`] if it does not.
    pub async fn prove_exclusive_create(&self) -> Result<(), TableError> {
        let store = self.log.object_store(None);
        let place = Path::from(PROOF);
        let create = || PutOptions::from(PutMode::Create);
        // The first may be refused too: an earlier start left it.
        match store.put_opts(&place, "first".into(), create()).await {
            Ok(_) | Err(StoreError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        match store.put_opts(&place, "second".into(), create()).await {
            Err(StoreError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(TableError::NotExclusive),
        }
        let kept = store.get(&place).await?.bytes().await?;
        if kept == "first" { Ok(()) } else { Err(TableError::NotExclusive) }
    }

    /// The snapshot of `state`, which is `known`'s version or a later one.
    pub(crate) async fn behind(
        &self,
        known: &Snapshot,
        state: DeltaTableState,
    ) -> Result<Snapshot, TableError> {
        let (from, version) = (known.version(), state.version());
        let ids = if version == from {
            Arc::clone(&known.ids)
        } else {
            Arc::new(ids_after(&self.log, &known.ids, from, version).await?)
        };
        Ok(Snapshot { state, log: Arc::clone(&self.log), ids })
    }

    /// Remembers a snapshot if it is newer than what is known.
    pub(crate) fn learn(&self, snapshot: &Snapshot) {
        let mut newest = self.newest();
        if newest.as_ref().is_none_or(|newest| newest.version() < snapshot.version()) {
            *newest = Some(snapshot.clone());
        }
    }

    fn at(
        location: &TableLocation,
        wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Result<Self, TableError> {
        let mut place = Place::open(location)?;
        place.root = wrap(place.root);
        Ok(Self { log: place.log(), newest: Arc::default() })
    }

    /// Makes a table as an older version made it, with the columns of its `audit_event`.
    #[cfg(test)]
    pub(crate) async fn make_older(
        location: &TableLocation,
        schema: &str,
    ) -> Result<Self, TableError> {
        let table = Self::at(location, |store| store)?;
        table.create(kernel_fields(crate::columns::columns_of(schema).fields())?).await?;
        Ok(table)
    }

    async fn create(&self, columns: Vec<StructField>) -> Result<(), TableError> {
        let settings = [
            ("delta.checkpointInterval", CHECKPOINT_INTERVAL.to_string()),
            ("delta.dataSkippingStatsColumns", STATS_COLUMNS.join(",")),
            ("delta.logRetentionDuration", LOG_RETENTION.to_owned()),
        ];
        let created = CreateBuilder::new()
            .with_log_store(Arc::clone(&self.log))
            .with_table_name("events")
            .with_columns(columns)
            .with_partition_columns(PARTITION_COLUMNS)
            .with_configuration(settings.map(|(key, value)| (key, Some(value))))
            .with_save_mode(SaveMode::ErrorIfExists)
            // Without a retry: the loser of a race would otherwise put its metadata over the
            // winner's.
            .with_commit_properties(CommitProperties::default().with_max_retries(0))
            .await;
        match created {
            Ok(_) => Ok(()),
            Err(_) if self.log.is_delta_table_location().await? => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds what the table lacks of this version's columns: all of one, or something within it. Losing
    /// a race to do so is no error.
    async fn add_columns(&self) -> Result<(), TableError> {
        for _ in 0..RACES_MAX {
            let stored = self.snapshot().await?.stored_schema();
            let columns = columns();
            let lacking = |field: &&FieldRef| {
                misfit(&Schema::new(vec![Arc::clone(field)]), &stored).is_some()
            };
            let lacking: Vec<_> = columns.fields().iter().filter(lacking).cloned().collect();
            if lacking.is_empty() {
                return Ok(());
            }
            let missing = kernel_fields(&lacking)?;
            let mut table = DeltaTable::new(Arc::clone(&self.log));
            table.load().await?;
            if let Err(error) = table.add_columns().with_fields(missing).await {
                let error = TableError::from(error);
                tracing::warn!(%error, "columns were not added; looking again");
            }
        }
        Err(TableError::Store { code: "add_columns" })
    }

    fn newest(&self) -> std::sync::MutexGuard<'_, Option<Snapshot>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("root", &self.log.root_url().as_str()).finish()
    }
}

/// Columns as Delta has them.
fn kernel_fields(columns: &[FieldRef]) -> Result<Vec<StructField>, TableError> {
    let broken = |_| TableError::Broken { code: "columns" };
    columns.iter().map(|field| field.as_ref().try_into_kernel().map_err(broken)).collect()
}

/// The object by which a store proves itself: under `_trailgate/`, which VACUUM leaves alone.
const PROOF: &str = "_trailgate/exclusive-create";

/// How long versions of the log are kept before the checkpoints alone stand for them.
const LOG_RETENTION: &str = "interval 7 days";

/// How often a race to add columns may be lost.
const RACES_MAX: usize = 5;

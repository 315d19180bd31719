//! What one statement sees: a version of the table and the tail behind it, pinned together, so that
//! no event is missing between them and none is there twice.

use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::Result as PlanResult;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use trailgate_schemas::Micros;
use trailgate_table::{LOG_INDEX, Snapshot};

use crate::limits::TAIL_STREAMS;
use crate::spill::{SpillError, Spilled};

/// How the tail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailState {
    /// It reads along.
    Following,
    /// It has not yet read what was there when it began, or the backbone can't be reached.
    CatchingUp,
    /// It is full and waits for the archiver; what is newer than `complete_until` is not in it.
    Full,
}

impl TailState {
    /// The word for it in an answer.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Following => "following",
            Self::CatchingUp => "catching_up",
            Self::Full => "full",
        }
    }
}

/// What one statement sees.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// The version of the table.
    pub snapshot: Snapshot,
    /// The columns.
    pub schema: SchemaRef,
    /// The rows behind it.
    pub tail: Vec<TailRows>,
    /// Every event that the backbone took before this moment is seen. Absent if that is not known.
    pub complete_until: Option<Micros>,
    /// How the tail stands.
    pub state: TailState,
}

/// Rows of one partition's chunk of the tail, from a row number on.
#[derive(Clone, Debug)]
pub struct TailRows {
    /// The first row that the pinned version of the table does not have.
    pub from_index: i64,
    /// The chunk.
    pub rows: Rows,
}

/// Where a chunk's rows are.
#[derive(Clone, Debug)]
pub enum Rows {
    /// In memory.
    Memory(Arc<Vec<RecordBatch>>),
    /// On disk.
    Disk(Arc<Spilled>),
}

impl Pinned {
    /// The table and the tail as one.
    ///
    /// # Errors
    /// If they do not plan together: a mistake of this program.
    pub async fn events(&self) -> PlanResult<Arc<dyn TableProvider>> {
        let archived =
            self.snapshot.provider().await.map_err(|e| DataFusionError::External(e.into()))?;
        let archived = LogicalPlanBuilder::scan("archived", provider_as_source(archived), None)?;
        let parts = self.tail_parts();
        if parts.is_empty() {
            let view = datafusion::datasource::ViewTable::new(archived.build()?, None);
            return Ok(Arc::new(view));
        }
        let tail = Arc::new(StreamingTable::try_new(Arc::clone(&self.schema), parts)?);
        let tail = LogicalPlanBuilder::scan("tail", provider_as_source(tail), None)?;
        let plan = archived.union(tail.build()?)?.build()?;
        Ok(Arc::new(datafusion::datasource::ViewTable::new(plan, None)))
    }

    /// The tail in a few streams, however many chunks there are: each stream is a task of the plan.
    fn tail_parts(&self) -> Vec<Arc<dyn PartitionStream>> {
        let each = self.tail.len().div_ceil(TAIL_STREAMS).max(1);
        let parts = self.tail.chunks(each).map(|rows| {
            let (schema, rows) = (Arc::clone(&self.schema), rows.to_vec());
            Arc::new(TailPart { schema, rows }) as Arc<dyn PartitionStream>
        });
        parts.collect()
    }
}

struct TailPart {
    schema: SchemaRef,
    rows: Vec<TailRows>,
}

impl fmt::Debug for TailPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TailPart")
    }
}

impl PartitionStream for TailPart {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let chunks = stream::iter(self.rows.clone());
        let batches = chunks.flat_map(move |rows| rows.read(&schema));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

impl TailRows {
    fn read(self, schema: &SchemaRef) -> BoxStream<'static, PlanResult<RecordBatch>> {
        let from = self.from_index;
        match self.rows {
            Rows::Memory(batches) => {
                let rows = (0..batches.len()).map(move |n| from_index(&batches[n], from));
                stream::iter(rows).boxed()
            }
            Rows::Disk(spilled) => read_spilled(spilled, Arc::clone(schema), from).boxed(),
        }
    }
}

/// Batches of a spilled chunk, read off the runtime one after the other.
fn read_spilled(
    spilled: Arc<Spilled>,
    schema: SchemaRef,
    from: i64,
) -> impl futures::Stream<Item = PlanResult<RecordBatch>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let damaged = |_| DataFusionError::External(SpillError::Damaged.into());
        let reader = match spilled.read(&schema) {
            Ok(reader) => reader,
            Err(error) => {
                // The statement is gone if nobody listens.
                let _ = sender.blocking_send(Err(DataFusionError::External(error.into())));
                return;
            }
        };
        for batch in reader {
            let batch = batch.map_err(damaged).and_then(|batch| from_index(&batch, from));
            if sender.blocking_send(batch).is_err() {
                return;
            }
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(receiver)
}

/// The rows of `batch` from row number `from` on.
fn from_index(batch: &RecordBatch, from: i64) -> PlanResult<RecordBatch> {
    let Some(column) = batch.column_by_name(LOG_INDEX) else {
        return Err(DataFusionError::Internal("tail has no row numbers".to_owned()));
    };
    let index = column.as_primitive::<Int64Type>();
    if index.values().iter().all(|index| *index >= from) {
        return Ok(batch.clone());
    }
    let keep: BooleanArray = index.values().iter().map(|index| Some(*index >= from)).collect();
    Ok(filter_record_batch(batch, &keep)?)
}

//! Statements over what is pinned: planned, checked, run within bounds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use tokio::time::Instant;
use trailgate_schemas::Micros;

use crate::guard::{self, Refused};
use crate::hot_tail::HotTail;
use crate::limits::{
    ROWS_MAX, STATEMENT_TIME_MAX, STATEMENTS_MEMORY_MAX_BYTES, STATEMENTS_SPILL_MAX_BYTES,
};
use crate::pinned::TailState;
use crate::views;

/// What a statement may use.
#[derive(Clone, Debug)]
pub struct EngineLimits {
    /// Rows of an answer; what is beyond is cut off, and the answer says so.
    pub rows: usize,
    /// Time from planning to the last row.
    pub time: Duration,
    /// Memory of all statements together.
    pub memory_bytes: usize,
    /// Where sorts and joins spill.
    pub scratch: PathBuf,
}

impl EngineLimits {
    /// The usual bounds, spilling to `scratch`.
    #[must_use]
    pub fn in_folder(scratch: PathBuf) -> Self {
        Self {
            rows: ROWS_MAX,
            time: STATEMENT_TIME_MAX,
            memory_bytes: STATEMENTS_MEMORY_MAX_BYTES,
            scratch,
        }
    }
}

/// Why a statement has no answer, or no complete one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It may not run.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It names what is not there or does not type. The text repeats names of the statement: it is
    /// for its caller, never for a log.
    #[error("statement does not plan: {told}")]
    Plan {
        /// What the planner says.
        told: String,
    },
    /// It took too long.
    #[error("statement took longer than {} s", .0.as_secs())]
    Time(Duration),
    /// It needs more memory than there is for it.
    #[error("statement needs more memory than it may use")]
    Memory,
    /// A value could not be computed, as in a cast or a division.
    #[error("statement failed on a value of the data")]
    Value,
    /// The table or the tail could not be read.
    #[error("record can't be read now")]
    Storage,
}

/// Runs statements.
pub struct Engine {
    tail: HotTail,
    runtime: Arc<RuntimeEnv>,
    limits: EngineLimits,
}

/// A statement that was planned and may run.
pub struct Planned {
    frame: DataFrame,
    complete_until: Option<Micros>,
    tail: TailState,
    deadline: Instant,
    limits: EngineLimits,
}

/// The rows of an answer as they come.
pub struct Answer {
    stream: SendableRecordBatchStream,
    /// Every event that the backbone took before this moment was seen. Absent if not known.
    pub complete_until: Option<Micros>,
    /// How the tail stood.
    pub tail: TailState,
    rows: usize,
    is_cut: bool,
    deadline: Instant,
    limits: EngineLimits,
}

impl Engine {
    /// An engine over `tail` and the table that it follows.
    ///
    /// # Errors
    /// If the scratch folder can't be used.
    pub fn new(tail: HotTail, limits: EngineLimits) -> Result<Self, DataFusionError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
            .with_temp_file_path(limits.scratch.clone())
            .with_max_temp_directory_size(STATEMENTS_SPILL_MAX_BYTES)
            .build_arc()?;
        Ok(Self { tail, runtime, limits })
    }

    /// Pins what there is now, plans `sql` over it and checks that it only reads.
    ///
    /// # Errors
    /// [`StatementError::Refused`] or [`StatementError::Plan`].
    pub async fn plan(&self, sql: &str) -> Result<Planned, StatementError> {
        let deadline = Instant::now() + self.limits.time;
        let statement = guard::parse(sql)?;
        let pinned = self.tail.pin();
        let context = SessionContext::new_with_config_rt(session(), Arc::clone(&self.runtime));
        let events = pinned.events().await.map_err(told)?;
        views::register(&context, events).await.map_err(told)?;
        let state = context.state();
        let plan = state.statement_to_plan(statement).await.map_err(told)?;
        guard::check_plan(&plan)?;
        Ok(Planned {
            frame: DataFrame::new(state, plan),
            complete_until: pinned.complete_until,
            tail: pinned.state,
            deadline,
            limits: self.limits.clone(),
        })
    }
}

impl Planned {
    /// Begins to run it.
    ///
    /// # Errors
    /// If it does not become an execution plan.
    pub async fn run(self) -> Result<Answer, StatementError> {
        let within = self.limits.time;
        let stream = tokio::time::timeout_at(self.deadline, self.frame.execute_stream()).await;
        let stream = stream.map_err(|_| StatementError::Time(within))?.map_err(told)?;
        Ok(Answer {
            stream,
            complete_until: self.complete_until,
            tail: self.tail,
            rows: 0,
            is_cut: false,
            deadline: self.deadline,
            limits: self.limits,
        })
    }
}

impl Answer {
    /// The columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// How many rows came so far.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Whether rows beyond the bound were cut off.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// [`StatementError`] ends the answer, which is then not complete.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, StatementError> {
        if self.is_cut {
            return Ok(None);
        }
        let next = tokio::time::timeout_at(self.deadline, self.stream.next()).await;
        let Some(batch) = next.map_err(|_| StatementError::Time(self.limits.time))? else {
            return Ok(None);
        };
        let batch = batch.map_err(told)?;
        let room = self.limits.rows - self.rows;
        let batch = if batch.num_rows() > room {
            self.is_cut = true;
            batch.slice(0, room)
        } else {
            batch
        };
        self.rows += batch.num_rows();
        Ok(Some(batch))
    }
}

fn session() -> SessionConfig {
    // 1,024 rows a batch: a payload may have 512 KiB, and a batch is held whole.
    SessionConfig::new().with_information_schema(true).with_batch_size(1024)
}

fn told(error: DataFusionError) -> StatementError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => StatementError::Memory,
        DataFusionError::Plan(told) => StatementError::Plan { told: first_line(told) },
        root @ (DataFusionError::SchemaError(..) | DataFusionError::NotImplemented(_)) => {
            StatementError::Plan { told: first_line(&root.to_string()) }
        }
        DataFusionError::Execution(_) | DataFusionError::ArrowError(..) => StatementError::Value,
        _ => StatementError::Storage,
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}

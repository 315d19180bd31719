//! Statements over what is pinned: planned, checked, run within bounds, on threads of their own.
//!
//! A statement is planned first and runs when it is told to: in between its caller makes the record
//! that it ran. Dropping a [`Planned`] or an [`Answer`] ends the statement.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use trailgate_schemas::Micros;

use crate::error::StatementError;
use crate::guard;
use crate::hot_tail::HotTail;
use crate::limits::{
    BATCH_ROWS, BATCHES_AHEAD, ROWS_MAX, STATEMENT_TIME_MAX, STATEMENTS_MAX,
    STATEMENTS_MEMORY_MAX_BYTES, STATEMENTS_SPILL_MAX_BYTES,
};
use crate::pinned::{Pinned, TailState};
use crate::stores::OnlyTheTable;
use crate::views;
use crate::workers::Workers;
use crate::yielding::JoinsYield;

/// What statements may use.
#[derive(Clone, Debug)]
pub struct EngineLimits {
    /// Rows of an answer; what is beyond is cut off, and the answer says so.
    pub rows: usize,
    /// Time of a statement, from its planning to its last row.
    pub time: Duration,
    /// Statements that run at once.
    pub statements: usize,
    /// Memory of all statements together.
    pub memory_bytes: usize,
    /// Disk that all statements together may spill to.
    pub spill_bytes: u64,
    /// Where sorts and joins spill: a folder of its own.
    pub scratch: PathBuf,
}

impl EngineLimits {
    /// The usual bounds, spilling to `scratch`.
    #[must_use]
    pub fn in_folder(scratch: PathBuf) -> Self {
        Self {
            rows: ROWS_MAX,
            time: STATEMENT_TIME_MAX,
            statements: STATEMENTS_MAX,
            memory_bytes: STATEMENTS_MEMORY_MAX_BYTES,
            spill_bytes: STATEMENTS_SPILL_MAX_BYTES,
            scratch,
        }
    }
}

/// Runs statements.
pub struct Engine {
    tail: HotTail,
    runtime: Arc<RuntimeEnv>,
    limits: EngineLimits,
    places: Arc<Semaphore>,
    workers: Workers,
}

/// A statement that was planned and may run.
pub struct Planned {
    /// Every event that the backbone took before this moment is seen. Absent if not known.
    pub complete_until: Option<Micros>,
    /// How the tail stood.
    pub tail: TailState,
    start: oneshot::Sender<()>,
    said: mpsc::Receiver<Said>,
    task: AbortOnDropHandle<()>,
    deadline: Instant,
    limits: EngineLimits,
}

/// The rows of an answer as they come.
pub struct Answer {
    /// As [`Planned::complete_until`].
    pub complete_until: Option<Micros>,
    /// As [`Planned::tail`].
    pub tail: TailState,
    schema: SchemaRef,
    said: mpsc::Receiver<Said>,
    _task: AbortOnDropHandle<()>,
    rows: usize,
    is_cut: bool,
    deadline: Instant,
    limits: EngineLimits,
}

/// What a running statement says.
enum Said {
    Planned(Option<Micros>, TailState),
    Started(SchemaRef),
    Rows(RecordBatch),
    Failed(StatementError),
    /// Without this, what came is not all.
    Done,
}

impl Engine {
    /// An engine over `tail` and the table that it follows.
    ///
    /// # Errors
    /// If the scratch folder can't be used or threads can't be started.
    pub fn new(tail: HotTail, limits: EngineLimits) -> Result<Self, DataFusionError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
            .with_temp_file_path(limits.scratch.clone())
            .with_max_temp_directory_size(limits.spill_bytes)
            .with_object_store_registry(Arc::new(OnlyTheTable::default()))
            .build_arc()?;
        let workers = Workers::start().map_err(DataFusionError::IoError)?;
        let places = Arc::new(Semaphore::new(limits.statements));
        Ok(Self { tail, runtime, limits, places, workers })
    }

    /// Runs what belongs to an answer on the statements' threads.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(workers) = self.workers.handle() {
            workers.spawn(work);
        }
    }

    /// Pins what there is now, plans `sql` over it and checks that it only reads.
    ///
    /// # Errors
    /// [`StatementError::Busy`], [`StatementError::Refused`], [`StatementError::Plan`] or
    /// [`StatementError::Time`].
    pub async fn plan(&self, sql: String) -> Result<Planned, StatementError> {
        let deadline = Instant::now() + self.limits.time;
        // Held by the statement's task, so that one that can't be stopped at once still counts.
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| StatementError::Busy)?;
        let (start, started) = oneshot::channel();
        let (saying, said) = mpsc::channel(BATCHES_AHEAD);
        let statement = Statement {
            pinned: self.tail.pin(),
            runtime: Arc::clone(&self.runtime),
            started,
            saying,
            _place: place,
        };
        let workers = self.workers.handle().ok_or(StatementError::Busy)?;
        let task = AbortOnDropHandle::new(workers.spawn(statement.live(sql)));
        let mut planned = Planned {
            complete_until: None,
            tail: TailState::CatchingUp,
            start,
            said,
            task,
            deadline,
            limits: self.limits.clone(),
        };
        match next(&mut planned.said, deadline, &planned.limits).await? {
            Said::Planned(complete_until, tail) => {
                (planned.complete_until, planned.tail) = (complete_until, tail);
                Ok(planned)
            }
            _ => Err(StatementError::Storage),
        }
    }
}

impl Planned {
    /// Begins to run it.
    ///
    /// # Errors
    /// If it does not become an execution plan.
    pub async fn run(mut self) -> Result<Answer, StatementError> {
        // The statement listens, or has ended and said why.
        let _ = self.start.send(());
        let Said::Started(schema) = next(&mut self.said, self.deadline, &self.limits).await? else {
            return Err(StatementError::Storage);
        };
        Ok(Answer {
            complete_until: self.complete_until,
            tail: self.tail,
            schema,
            said: self.said,
            _task: self.task,
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
        Arc::clone(&self.schema)
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
        let batch = match next(&mut self.said, self.deadline, &self.limits).await? {
            Said::Rows(batch) => batch,
            Said::Done => return Ok(None),
            Said::Planned(..) | Said::Started(_) | Said::Failed(_) => {
                return Err(StatementError::Storage);
            }
        };
        let room = self.limits.rows - self.rows;
        self.is_cut = batch.num_rows() > room;
        let batch = if self.is_cut { batch.slice(0, room) } else { batch };
        self.rows += batch.num_rows();
        Ok(Some(batch))
    }
}

async fn next(
    said: &mut mpsc::Receiver<Said>,
    deadline: Instant,
    limits: &EngineLimits,
) -> Result<Said, StatementError> {
    let next = tokio::time::timeout_at(deadline, said.recv()).await;
    match next.map_err(|_| StatementError::Time(limits.time))? {
        Some(Said::Failed(error)) => Err(error),
        Some(said) => Ok(said),
        // It ended without a word: it panicked, or the process ends.
        None => Err(StatementError::Storage),
    }
}

/// A statement on the workers' threads, from its plan to its last row. The plan is also dropped
/// there, where the stack is deep.
struct Statement {
    pinned: Pinned,
    runtime: Arc<RuntimeEnv>,
    started: oneshot::Receiver<()>,
    saying: mpsc::Sender<Said>,
    _place: OwnedSemaphorePermit,
}

impl Statement {
    async fn live(self, sql: String) {
        let saying = self.saying.clone();
        let last = match self.steps(&sql).await {
            Ok(()) => Said::Done,
            Err(error) => Said::Failed(error),
        };
        // Nobody listens any more if the answer was dropped.
        let _ = saying.send(last).await;
    }

    async fn steps(self, sql: &str) -> Result<(), StatementError> {
        let frame = plan(&self.pinned, self.runtime, sql).await?;
        let planned = Said::Planned(self.pinned.complete_until, self.pinned.state);
        if self.saying.send(planned).await.is_err() || self.started.await.is_err() {
            return Ok(());
        }
        let stream = frame.execute_stream().await?;
        if self.saying.send(Said::Started(stream.schema())).await.is_err() {
            return Ok(());
        }
        send_rows(stream, &self.saying).await
    }
}

async fn send_rows(
    mut stream: SendableRecordBatchStream,
    saying: &mpsc::Sender<Said>,
) -> Result<(), StatementError> {
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        if batch.num_rows() > 0 && saying.send(Said::Rows(batch)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn plan(
    pinned: &Pinned,
    runtime: Arc<RuntimeEnv>,
    sql: &str,
) -> Result<DataFrame, StatementError> {
    let statement = guard::parse(sql)?;
    let session = SessionStateBuilder::new()
        .with_config(session())
        .with_runtime_env(runtime)
        .with_default_features()
        .with_physical_optimizer_rule(Arc::new(JoinsYield));
    let context = SessionContext::new_with_state(session.build());
    guard::disarm(&context);
    views::register(&context, pinned.events().await?).await?;
    let state = context.state();
    let plan = state.statement_to_plan(statement).await?;
    guard::check_plan(&plan)?;
    Ok(DataFrame::new(state, plan))
}

fn session() -> SessionConfig {
    let mut config = SessionConfig::new().with_information_schema(true).with_batch_size(BATCH_ROWS);
    // So that an error says where in the statement it is.
    config.options_mut().sql_parser.collect_spans = true;
    config
}

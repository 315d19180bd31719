//! What all connections of one process share: where records go, what is open, and the tasks that
//! outlive the requests they come from.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use trailgate_schemas::{AuditEvent, EventId};
use trailgate_service::{Clock, Ids, Stop};
use trailgate_topics::{Refusals, Untold};

use crate::holds::Holds;
use crate::journal::Pending;
use crate::keys::ProxyKeys;
use crate::langgraph::Runs;
use crate::limits::{CLOSE_RETRY_WAIT, CLOSE_TRIES, CLOSERS_MAX, JOINS_MAX, WHOLE_BYTES_MAX};
use crate::metrics::ProxyMetrics;
use crate::recorder::{Recorder, Unrecorded};
use crate::sessions::Sessions;

/// What all connections of one process share.
pub(crate) struct Gateway {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) keys: ProxyKeys,
    pub(crate) metrics: ProxyMetrics,
    pub(crate) exchanges: Arc<Semaphore>,
    pub(crate) joins: Arc<Semaphore>,
    /// Bytes of bodies that are read whole.
    pub(crate) whole_bytes: Arc<Semaphore>,
    /// What is known of the runs that were created here.
    pub(crate) runs: Mutex<Runs>,
    pub(crate) sessions: Sessions,
    refusals: Refusals,
    /// What waits for a person; none if nothing is held here.
    pub(crate) holds: Option<Arc<Holds>>,
    pub(crate) stall: Duration,
    pub(crate) idle: Duration,
    pub(crate) stop: Stop,
    pub(crate) tasks: TaskTracker,
    closers: Arc<Semaphore>,
    recorder: Arc<dyn Recorder>,
    runtime: Handle,
}

/// What a gateway is made of.
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) keys: ProxyKeys,
    pub(crate) metrics: ProxyMetrics,
    pub(crate) recorder: Arc<dyn Recorder>,
    pub(crate) holds: Option<Arc<Holds>>,
    pub(crate) max_exchanges: usize,
    pub(crate) stall: Duration,
    pub(crate) idle: Duration,
    pub(crate) stop: Stop,
}

impl Gateway {
    /// A gateway whose tasks run on the runtime that this is called on.
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let tasks = TaskTracker::new();
        let (clock, stop) = (Arc::clone(&parts.clock), parts.stop.clone());
        Arc::new(Self {
            refusals: Refusals::new(clock, stop, tasks.clone()),
            clock: parts.clock,
            ids: parts.ids,
            keys: parts.keys,
            metrics: parts.metrics,
            exchanges: Arc::new(Semaphore::new(parts.max_exchanges)),
            joins: Arc::new(Semaphore::new(JOINS_MAX)),
            whole_bytes: Arc::new(Semaphore::new(WHOLE_BYTES_MAX)),
            runs: Mutex::new(Runs::default()),
            sessions: Sessions::default(),
            holds: parts.holds,
            stall: parts.stall,
            idle: parts.idle,
            stop: parts.stop,
            tasks,
            closers: Arc::new(Semaphore::new(CLOSERS_MAX)),
            recorder: parts.recorder,
            runtime: Handle::current(),
        })
    }

    /// Hands an event to the recorder.
    pub(crate) fn hand_over(&self, event: AuditEvent) -> Pending {
        Pending::new(self.recorder.record(event))
    }

    /// Records a refusal: alone, or with others of its second. Gives the id of the durable event
    /// that tells of it.
    pub(crate) async fn record_refusal(
        self: &Arc<Self>,
        from: IpAddr,
        event: AuditEvent,
    ) -> Result<EventId, Untold> {
        let gateway = Arc::clone(self);
        let record = move |event| async move { gateway.hand_over(event).settled(&gateway).await };
        self.refusals.record(from, event, record).await
    }

    /// Records an event in a task of its own, offering it again only if it was surely not taken.
    /// Beyond [`CLOSERS_MAX`] of them it is dropped: the masker finds the stream unfinished.
    pub(crate) fn record_behind(self: &Arc<Self>, event: AuditEvent) {
        let Ok(place) = Arc::clone(&self.closers).try_acquire_owned() else {
            self.metrics.failed("too_many_closings");
            return;
        };
        let gateway = Arc::clone(self);
        self.spawn(async move {
            if gateway.record_surely(event).await.is_err() {
                gateway.metrics.failed("closing_unrecorded");
            }
            drop(place);
        });
    }

    /// Records an event, offering it again only if it was surely not taken.
    pub(crate) async fn record_surely(&self, event: AuditEvent) -> Result<(), Unrecorded> {
        let mut wait = CLOSE_RETRY_WAIT;
        for _ in 1..CLOSE_TRIES {
            match self.hand_over(event.clone()).settled(self).await {
                Err(Unrecorded::NotTaken) => tokio::time::sleep(wait).await,
                settled => return settled,
            }
            wait *= 2;
        }
        self.hand_over(event).settled(self).await
    }

    /// Runs a task that outlives the request it comes from, and that the end of the process waits
    /// for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gateway")
    }
}

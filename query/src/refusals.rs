//! Refused callers, recorded without letting a flood of them become a flood of records: of one
//! source the first few in a second are each an event, the others share one event with their count.
//! None is answered before the event that tells of it is durable.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use trailgate_schemas::{AuditEvent, EventId, Kind};
use trailgate_topics::{AppendError, RecordError};

use crate::limits::{REFUSAL_SOURCES_MAX, REFUSALS_EACH};
use crate::recorder::Recorder;

/// The refusals of the last second; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Refusals(Arc<Mutex<HashMap<Source, Window>>>);

type Source = (IpAddr, Kind);
type Recorded = Option<Result<EventId, RecordError>>;

struct Window {
    began: Instant,
    each: u32,
    shared: Option<Shared>,
}

/// One event for many refusals.
#[derive(Clone)]
struct Shared {
    count: i64,
    recorded: watch::Receiver<Recorded>,
}

enum Turn {
    Each,
    First(Source, watch::Sender<Recorded>, watch::Receiver<Recorded>, Instant),
    Joined(watch::Receiver<Recorded>),
}

impl Refusals {
    /// Records a refusal: alone, or with others of its second. Gives the id of the durable event
    /// that tells of it.
    pub(crate) async fn record(
        &self,
        recorder: &Arc<dyn Recorder>,
        from: IpAddr,
        event: AuditEvent,
    ) -> Result<EventId, RecordError> {
        let recorded = match self.turn(from, &event) {
            Turn::Each => {
                let id = event.event_id;
                return recorder.record(event).await.map(|()| id);
            }
            Turn::First(source, sender, recorded, end) => {
                let (refusals, recorder) = (self.clone(), Arc::clone(recorder));
                // Of its own: the others wait for it also if this caller goes away.
                tokio::spawn(async move {
                    tokio::time::sleep_until(end).await;
                    let told = refusals.tell(&recorder, source, event).await;
                    sender.send_replace(Some(told));
                });
                recorded
            }
            Turn::Joined(recorded) => recorded,
        };
        outcome(recorded).await
    }

    fn turn(&self, from: IpAddr, event: &AuditEvent) -> Turn {
        let now = Instant::now();
        let mut windows = self.windows();
        let mut source = (from, event.kind);
        if windows.len() >= REFUSAL_SOURCES_MAX && !windows.contains_key(&source) {
            windows.retain(|_, window| window.shared.is_some() || now - window.began < WINDOW);
            if windows.len() >= REFUSAL_SOURCES_MAX {
                // The sources that are too many to be told apart.
                source = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), event.kind);
            }
        }
        let fresh = || Window { began: now, each: 0, shared: None };
        let window = windows.entry(source).or_insert_with(fresh);
        if window.shared.is_none() && now - window.began >= WINDOW {
            *window = fresh();
        }
        if let Some(shared) = &mut window.shared {
            shared.count += 1;
            return Turn::Joined(shared.recorded.clone());
        }
        if window.each < REFUSALS_EACH {
            window.each += 1;
            return Turn::Each;
        }
        let (sender, recorded) = watch::channel(None);
        window.shared = Some(Shared { count: 1, recorded: recorded.clone() });
        Turn::First(source, sender, recorded, window.began + WINDOW)
    }

    /// Ends a second: from now on nobody joins its event, which is recorded with their count.
    async fn tell(
        &self,
        recorder: &Arc<dyn Recorder>,
        source: Source,
        mut event: AuditEvent,
    ) -> Result<EventId, RecordError> {
        let window = self.windows().remove(&source);
        event.count = window.and_then(|window| window.shared).map(|shared| shared.count);
        let id = event.event_id;
        recorder.record(event).await.map(|()| id)
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<Source, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn outcome(mut recorded: watch::Receiver<Recorded>) -> Result<EventId, RecordError> {
    let told = recorded.wait_for(Option::is_some).await.map(|told| *told);
    told.ok().flatten().unwrap_or(Err(RecordError::NotNow(AppendError::Closed)))
}

const WINDOW: Duration = Duration::from_secs(1);

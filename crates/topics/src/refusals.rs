//! Refusals, recorded without letting a flood of them become a flood of records: of one source, kind
//! and actor the first few in a second are each an event, the others share one event with their
//! count. None is answered before the event that tells of it is durable.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use trailgate_schemas::{AuditEvent, EventId, Kind};
use trailgate_service::{Clock, Stop};

use crate::limits::{REFUSAL_SOURCES_MAX, REFUSALS_EACH};

/// No durable event tells of the refusal, so the caller is not told of it either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refusal is not on the record")]
pub struct Untold;

/// The refusals of the last second; clones are the same.
#[derive(Clone)]
pub struct Refusals(Arc<Parts>);

struct Parts {
    windows: Mutex<HashMap<Source, Window>>,
    clock: Arc<dyn Clock>,
    stop: Stop,
    tasks: TaskTracker,
    runtime: Handle,
}

/// Whose refusals are counted together: an address, and who it was proved to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    address: IpAddr,
    kind: Kind,
    actor: String,
}

struct Window {
    began: Instant,
    each: u32,
    shared: Option<Shared>,
}

/// One event for many refusals.
#[derive(Clone)]
struct Shared {
    count: i64,
    told: watch::Receiver<Option<Result<EventId, Untold>>>,
}

enum Turn {
    Each,
    First(Second),
    Joined(watch::Receiver<Option<Result<EventId, Untold>>>),
}

/// The duty to tell of a second's refusals at its end.
struct Second {
    source: Source,
    end: Instant,
    teller: watch::Sender<Option<Result<EventId, Untold>>>,
}

impl Refusals {
    /// No refusals yet. What is shared is recorded in a task among `tasks`, on the runtime that this
    /// is called on, and at once when `stop` is asked for.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, stop: Stop, tasks: TaskTracker) -> Self {
        let (windows, runtime) = (Mutex::default(), Handle::current());
        Self(Arc::new(Parts { windows, clock, stop, tasks, runtime }))
    }

    /// Records a refusal by `record`: alone, or with others of its second. Gives the id of the
    /// durable event that tells of it.
    ///
    /// # Errors
    /// [`Untold`] if there is none.
    pub async fn record<F, E>(
        &self,
        from: IpAddr,
        event: AuditEvent,
        record: impl FnOnce(AuditEvent) -> F + Send + 'static,
    ) -> Result<EventId, Untold>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let mut told = match self.turn(from, &event) {
            Turn::Each => {
                let id = event.event_id;
                return record(event).await.map(|()| id).map_err(|_| Untold);
            }
            Turn::First(second) => {
                let told = second.teller.subscribe();
                let refusals = self.clone();
                // Of its own: the others wait for it also if this caller goes away.
                let task = async move { refusals.tell(second, event, record).await };
                self.0.tasks.spawn_on(task, &self.0.runtime);
                told
            }
            Turn::Joined(told) => told,
        };
        let told = told.wait_for(Option::is_some).await.map(|told| *told);
        told.ok().flatten().unwrap_or(Err(Untold))
    }

    fn turn(&self, address: IpAddr, event: &AuditEvent) -> Turn {
        let now = Instant::now();
        let mut windows = self.windows();
        let mut source = Source::of(address, event);
        if windows.len() >= REFUSAL_SOURCES_MAX && !windows.contains_key(&source) {
            windows.retain(|_, window| window.shared.is_some() || now - window.began < WINDOW);
            if windows.len() >= REFUSAL_SOURCES_MAX {
                source = Source::others(event.kind);
            }
        }
        let fresh = || Window { began: now, each: 0, shared: None };
        let window = windows.entry(source.clone()).or_insert_with(fresh);
        if window.shared.is_none() && now - window.began >= WINDOW {
            *window = fresh();
        }
        if let Some(shared) = &mut window.shared {
            shared.count += 1;
            return Turn::Joined(shared.told.clone());
        }
        if window.each < REFUSALS_EACH {
            window.each += 1;
            return Turn::Each;
        }
        let (teller, told) = watch::channel(None);
        window.shared = Some(Shared { count: 1, told });
        Turn::First(Second { source, end: window.began + WINDOW, teller })
    }

    /// Waits for the second's end, from which on nobody joins, then tells of all that did.
    async fn tell<F, E>(
        self,
        second: Second,
        mut event: AuditEvent,
        record: impl FnOnce(AuditEvent) -> F,
    ) where
        F: Future<Output = Result<(), E>>,
    {
        tokio::select! {
            () = tokio::time::sleep_until(second.end) => {}
            () = self.0.stop.asked() => {}
        }
        let window = self.windows().remove(&second.source);
        event.count = window.and_then(|window| window.shared).map(|shared| shared.count);
        event.gateway_time = self.0.clock.now();
        let id = event.event_id;
        let told = record(event).await.map(|()| id).map_err(|_| Untold);
        second.teller.send_replace(Some(told));
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<Source, Window>> {
        self.0.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn of(address: IpAddr, event: &AuditEvent) -> Self {
        Self { address, kind: event.kind, actor: event.actor.as_str().to_owned() }
    }

    /// The sources that are too many to be told apart.
    const fn others(kind: Kind) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), kind, actor: String::new() }
    }
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refusals")
    }
}

const WINDOW: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use trailgate_schemas::{
        Actor, Micros, Outcome, Place, Required, Resource, SessionId, SessionRule, SourceAddress,
        StreamId,
    };
    use trailgate_service::{Ids, ManualClock, RandomIds};
    use uuid::Uuid;

    use super::*;

    fn refusals(stop: &Stop) -> Refusals {
        Refusals::new(Arc::new(ManualClock::default()), stop.clone(), TaskTracker::new())
    }

    fn refusal(actor: &str) -> AuditEvent {
        let required = Required {
            actor: Actor::new(actor).unwrap(),
            kind: Kind::LoginRefused,
            gateway_time: Micros(0),
            outcome: Outcome::Denied,
            source_address: SourceAddress::new("127.0.0.1").unwrap(),
            resource: Resource::new("agents").unwrap(),
        };
        let place = Place {
            tenant: "default".to_owned(),
            connection: "agents".to_owned(),
            session_id: SessionId(Uuid::nil()),
            session_rule: SessionRule::Connection,
            stream_id: StreamId(Uuid::nil()),
            stream_seq: 0,
        };
        AuditEvent::new(RandomIds.event(), required, place)
    }

    /// Where events go in a test.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<AuditEvent>>>);

    impl Told {
        async fn refuse(&self, refusals: &Refusals, actor: &str) -> Result<EventId, Untold> {
            let told = Arc::clone(&self.0);
            let record = move |event| async move {
                told.lock().unwrap().push(event);
                Ok::<(), Untold>(())
            };
            refusals.record(IpAddr::from([127, 0, 0, 1]), refusal(actor), record).await
        }
    }

    #[tokio::test]
    async fn a_flood_is_a_few_events_and_one_with_a_count_and_each_is_told_by_one_of_them() {
        let (refusals, told) = (refusals(&Stop::new()), Told::default());
        let ids = join_all((0..60).map(|_| told.refuse(&refusals, "ann"))).await;
        let events = told.0.lock().unwrap().clone();
        assert_eq!(events.len(), REFUSALS_EACH as usize + 1);
        assert_eq!(events.last().unwrap().count, Some(60 - i64::from(REFUSALS_EACH)));
        let known: Vec<_> = events.iter().map(|event| Ok(event.event_id)).collect();
        assert!(ids.iter().all(|id| known.contains(id)));
    }

    #[tokio::test]
    async fn callers_are_not_counted_for_one_another() {
        let (refusals, told) = (refusals(&Stop::new()), Told::default());
        join_all((0..60).map(|_| told.refuse(&refusals, "ann"))).await.pop().unwrap().unwrap();
        told.refuse(&refusals, "bob").await.unwrap();
        let events = told.0.lock().unwrap().clone();
        assert_eq!(
            (events.last().unwrap().actor.as_str(), events.last().unwrap().count),
            ("bob", None)
        );
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_the_second_to_end() {
        let stop = Stop::new();
        let (refusals, told) = (refusals(&stop), Told::default());
        stop.ask();
        join_all((0..20).map(|_| told.refuse(&refusals, "ann"))).await;
        let counted: i64 = told.0.lock().unwrap().iter().map(|e| e.count.unwrap_or(1)).sum();
        assert_eq!(counted, 20);
    }

    #[tokio::test]
    async fn who_shares_an_event_that_could_not_be_recorded_is_not_told() {
        let refusals = refusals(&Stop::new());
        let refuse = || {
            let record = |_| async { Err::<(), ()>(()) };
            refusals.record(IpAddr::from([127, 0, 0, 1]), refusal("ann"), record)
        };
        let told = join_all((0..20).map(|_| refuse())).await;
        assert!(told.iter().all(|told| *told == Err(Untold)));
    }
}

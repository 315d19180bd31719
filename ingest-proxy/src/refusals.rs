//! Refusals, recorded without letting a flood of them become a flood of records: of one source and
//! kind the first few in a second are each an event, the others share one event with their count.
//! None is answered before the event that tells of it is durable.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use trailgate_schemas::{AuditEvent, EventId, Kind};

use crate::gateway::Gateway;
use crate::limits::{REFUSAL_SOURCES_MAX, REFUSALS_EACH};
use crate::recorder::Unrecorded;

/// The refusals of the last second.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<Source, Window>>);

/// Whose refusals are counted together: an address, and who it was proved to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    address: IpAddr,
    kind: Kind,
    actor: String,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    each: u32,
    shared: Option<Arc<Shared>>,
}

/// One event for many refusals.
#[derive(Debug)]
struct Shared {
    event: EventId,
    count: Mutex<i64>,
    outcome: watch::Receiver<Option<Result<(), Unrecorded>>>,
}

enum Turn {
    Each,
    First(Arc<Shared>, watch::Sender<Option<Result<(), Unrecorded>>>, Instant),
    Joined(Arc<Shared>),
}

/// Records a refusal: alone, or with others of its second. Gives the id of the durable event that
/// tells of it.
pub(crate) async fn record_refusal(
    gateway: &Arc<Gateway>,
    address: IpAddr,
    event: AuditEvent,
) -> Result<EventId, Unrecorded> {
    match gateway.refusals.turn(address, &event) {
        Turn::Each => {
            let id = event.event_id;
            gateway.hand_over(event).settled(gateway).await.map(|()| id)
        }
        Turn::First(shared, outcome, end) => {
            let flush =
                flush(Arc::clone(gateway), address, event, Arc::clone(&shared), (outcome, end));
            gateway.spawn(flush);
            shared.outcome().await
        }
        Turn::Joined(shared) => shared.outcome().await,
    }
}

/// Waits for the second's end, then tells of all that shared it.
async fn flush(
    gateway: Arc<Gateway>,
    address: IpAddr,
    mut event: AuditEvent,
    shared: Arc<Shared>,
    (outcome, end): (watch::Sender<Option<Result<(), Unrecorded>>>, Instant),
) {
    tokio::select! {
        () = tokio::time::sleep_until(end) => {}
        () = gateway.stop.asked() => {}
    }
    gateway.refusals.end(address, &event);
    event.count = Some(*shared.count.lock().unwrap_or_else(PoisonError::into_inner));
    event.gateway_time = gateway.clock.now();
    let recorded = gateway.hand_over(event).settled(&gateway).await;
    outcome.send_replace(Some(recorded));
}

impl Refusals {
    fn turn(&self, address: IpAddr, event: &AuditEvent) -> Turn {
        let now = Instant::now();
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut source = Source::of(address, event);
        if windows.len() >= REFUSAL_SOURCES_MAX && !windows.contains_key(&source) {
            windows.retain(|_, w| w.shared.is_some() || now - w.began < WINDOW);
            if windows.len() >= REFUSAL_SOURCES_MAX {
                source = Source::others(event.kind);
            }
        }
        let fresh = || Window { began: now, each: 0, shared: None };
        let window = windows.entry(source).or_insert_with(fresh);
        if window.shared.is_none() && now - window.began >= WINDOW {
            *window = fresh();
        }
        if let Some(shared) = &window.shared {
            *shared.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            return Turn::Joined(Arc::clone(shared));
        }
        if window.each < REFUSALS_EACH {
            window.each += 1;
            return Turn::Each;
        }
        let (sender, outcome) = watch::channel(None);
        let shared = Arc::new(Shared { event: event.event_id, count: Mutex::new(1), outcome });
        window.shared = Some(Arc::clone(&shared));
        Turn::First(shared, sender, window.began + WINDOW)
    }

    /// From now on nobody joins this second's event.
    fn end(&self, address: IpAddr, event: &AuditEvent) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for source in [Source::of(address, event), Source::others(event.kind)] {
            let ours = windows
                .get(&source)
                .and_then(|w| w.shared.as_ref())
                .is_some_and(|shared| shared.event == event.event_id);
            if ours {
                windows.remove(&source);
            }
        }
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

impl Shared {
    async fn outcome(&self) -> Result<EventId, Unrecorded> {
        let mut outcome = self.outcome.clone();
        let settled = outcome.wait_for(Option::is_some).await.map(|o| *o);
        settled.ok().flatten().unwrap_or(Err(Unrecorded::Unacknowledged)).map(|()| self.event)
    }
}

const WINDOW: Duration = Duration::from_secs(1);

//! A recorder that behaves like the real one, its delays and failures included, and keeps what it
//! was given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use trailgate_ingest_proxy::{Recorder, Recording, Unrecorded};
use trailgate_schemas::{AuditEvent, Kind, StreamId};

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is durable after this long.
    Durable(Duration),
    /// It waits until the test lets it go.
    Held,
    /// It is not recorded.
    Lost(Unrecorded),
}

pub(crate) const NOW: Fate = Fate::Durable(Duration::ZERO);

type Judge = Box<dyn Fn(&AuditEvent) -> Fate + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Tape(Arc<Inner>);

struct Inner {
    judge: Mutex<Judge>,
    taken: Mutex<Vec<Taken>>,
    stage: Mutex<Vec<Kind>>,
}

struct Taken {
    event: AuditEvent,
    is_durable: Arc<Mutex<bool>>,
    let_go: Option<oneshot::Sender<()>>,
}

impl Tape {
    pub(crate) fn new() -> Self {
        let judge: Judge = Box::new(|_| NOW);
        Self(Arc::new(Inner {
            judge: Mutex::new(judge),
            taken: Mutex::default(),
            stage: Mutex::default(),
        }))
    }

    pub(crate) fn judge(&self, judge: impl Fn(&AuditEvent) -> Fate + Send + Sync + 'static) {
        *self.0.judge.lock().unwrap() = Box::new(judge);
    }

    /// Lets everything go that is held.
    pub(crate) fn let_go(&self) {
        for taken in self.0.taken.lock().unwrap().iter_mut() {
            if let Some(let_go) = taken.let_go.take() {
                let _ = let_go.send(());
            }
        }
    }

    /// Everything that is durable, in order.
    pub(crate) fn durable(&self) -> Vec<AuditEvent> {
        let taken = self.0.taken.lock().unwrap();
        taken.iter().filter(|t| *t.is_durable.lock().unwrap()).map(|t| t.event.clone()).collect()
    }

    /// Everything that was handed over, in order.
    pub(crate) fn all(&self) -> Vec<AuditEvent> {
        self.0.taken.lock().unwrap().iter().map(|t| t.event.clone()).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.taken.lock().unwrap().len()
    }

    /// Forgets what came so far.
    pub(crate) fn forget(&self) {
        self.0.taken.lock().unwrap().clear();
    }

    /// The events of one kind.
    pub(crate) fn of(&self, kind: Kind) -> Vec<AuditEvent> {
        self.all().into_iter().filter(|event| event.kind == kind).collect()
    }

    /// What the stage told of itself.
    pub(crate) fn stage(&self) -> Vec<Kind> {
        self.0.stage.lock().unwrap().clone()
    }

    /// The durable payloads of one kind, joined.
    pub(crate) fn payload(&self, kind: Kind) -> String {
        let events = self.durable().into_iter().filter(|event| event.kind == kind);
        events.filter_map(|event| event.payload).collect()
    }

    /// The streams, each with its events; each must be numbered densely, and each that is closed
    /// must say how many it has.
    pub(crate) fn streams(&self) -> BTreeMap<StreamId, Vec<AuditEvent>> {
        let mut streams: BTreeMap<StreamId, Vec<AuditEvent>> = BTreeMap::new();
        for event in self.all() {
            streams.entry(event.stream_id).or_default().push(event);
        }
        for events in streams.values_mut() {
            events.sort_by_key(|event| event.stream_seq);
            for (n, event) in events.iter().enumerate() {
                assert_eq!(event.stream_seq, n as i64, "{:?}", kinds(events));
                let session = events[0].session_id;
                assert_eq!(event.session_id, session, "a stream is in one session");
            }
            let counts: Vec<i64> = events.iter().filter_map(|event| event.stream_count).collect();
            assert!(counts.len() <= 1, "{:?}", kinds(events));
            if let Some(count) = counts.first() {
                assert_eq!(*count, events.len() as i64, "{:?}", kinds(events));
                assert!(events.last().unwrap().stream_count.is_some(), "{:?}", kinds(events));
            }
        }
        streams
    }

    /// Whether every stream is closed.
    pub(crate) fn is_whole(&self) -> bool {
        let streams = self.streams();
        !streams.is_empty()
            && streams.values().all(|s| s.last().is_some_and(|e| e.stream_count.is_some()))
    }

    /// Waits until every stream is closed.
    pub(crate) async fn whole(&self) {
        trailgate_testkit::until("all streams to be closed", async || {
            self.is_whole().then_some(())
        })
        .await;
    }
}

pub(crate) fn kinds(events: &[AuditEvent]) -> Vec<(i64, &'static str, Option<i64>)> {
    events.iter().map(|e| (e.stream_seq, e.kind.word(), e.stream_count)).collect()
}

impl Recorder for Tape {
    fn record(&self, event: AuditEvent) -> Recording {
        if matches!(event.kind, Kind::StageStarted | Kind::StageStopped) {
            self.0.stage.lock().unwrap().push(event.kind);
            return Box::pin(std::future::ready(Ok(())));
        }
        let fate = (self.0.judge.lock().unwrap())(&event);
        let is_durable = Arc::new(Mutex::new(false));
        let (sender, receiver) = oneshot::channel();
        let let_go = (fate == Fate::Held).then_some(sender);
        let taken = Taken { event, is_durable: Arc::clone(&is_durable), let_go };
        if fate != Fate::Lost(Unrecorded::NotTaken) {
            self.0.taken.lock().unwrap().push(taken);
        }
        let (acknowledge, acknowledged) = oneshot::channel();
        if fate == NOW {
            *is_durable.lock().unwrap() = true;
            let _ = acknowledge.send(Ok(()));
        } else {
            // As in the real one, the record becomes durable whether somebody waits or not.
            tokio::spawn(async move {
                let outcome = match fate {
                    Fate::Durable(wait) => {
                        tokio::time::sleep(wait).await;
                        Ok(())
                    }
                    Fate::Held => receiver.await.map_err(|_| Unrecorded::Unacknowledged),
                    Fate::Lost(unrecorded) => Err(unrecorded),
                };
                *is_durable.lock().unwrap() = outcome.is_ok();
                let _ = acknowledge.send(outcome);
            });
        }
        if let Fate::Lost(Unrecorded::NotTaken) = fate {
            return Box::pin(std::future::ready(Err(Unrecorded::NotTaken)));
        }
        Box::pin(async move { acknowledged.await.unwrap_or(Err(Unrecorded::Unacknowledged)) })
    }
}

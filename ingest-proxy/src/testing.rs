//! What the unit tests share: a recorder that they answer for, and a stream that writes to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use trailgate_schemas::{
    AuditEvent, Kind, Outcome, Resource, SessionId, SessionKey, SessionRule, SourceAddress,
    StreamId,
};
use trailgate_service::{CountedIds, Metrics, Stop, SystemClock};
use uuid::Uuid;

use crate::gateway::{Gateway, Parts};
use crate::journal::{Facts, Journal, Who};
use crate::keys::ProxyKeys;
use crate::metrics::ProxyMetrics;
use crate::pulse::Pulse;
use crate::recorder::{Recorder, Recording, Unrecorded};

/// A recorder whose acknowledgements come when the test says so.
#[derive(Default)]
pub(crate) struct Tape(Mutex<Vec<(AuditEvent, Option<Acknowledge>)>>);

type Acknowledge = oneshot::Sender<Result<(), Unrecorded>>;

impl Recorder for Arc<Tape> {
    fn record(&self, event: AuditEvent) -> Recording {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap().push((event, Some(sender)));
        Box::pin(async { receiver.await.unwrap_or(Err(Unrecorded::Unacknowledged)) })
    }
}

impl Tape {
    /// Answers the first record that waits: whether there was one.
    pub(crate) fn answer(&self, outcome: Result<(), Unrecorded>) -> bool {
        let mut taken = self.0.lock().unwrap();
        let waiting = taken.iter_mut().find_map(|(_, sender)| sender.take());
        waiting.is_some_and(|sender| {
            // Somebody may have gone away meanwhile.
            let _ = sender.send(outcome);
            true
        })
    }

    pub(crate) fn answered_payload(&self) -> String {
        let taken = self.0.lock().unwrap();
        let answered = taken.iter().filter(|(_, sender)| sender.is_none());
        answered.filter_map(|(event, _)| event.payload.clone()).collect()
    }

    pub(crate) fn events(&self) -> Vec<AuditEvent> {
        self.0.lock().unwrap().iter().map(|(event, _)| event.clone()).collect()
    }
}

/// A stream whose request is recorded.
pub(crate) fn journal(tape: &Arc<Tape>) -> Arc<Journal> {
    let gateway = Gateway::new(Parts {
        clock: Arc::new(SystemClock),
        ids: Arc::new(CountedIds::default()),
        keys: ProxyKeys::new(SessionKey::new(&[1; 32]), &[2; 32], &[3; 32]),
        metrics: ProxyMetrics::register(&Metrics::default()),
        recorder: Arc::new(Arc::clone(tape)),
        holds: None,
        max_exchanges: 1,
        stall: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        stop: Stop::new(),
    });
    let facts = Facts {
        who: Who::Unverified,
        source: SourceAddress::new("127.0.0.1").unwrap(),
        resource: Resource::new("tools/x").unwrap(),
        tenant: "default".into(),
        connection: "tools".into(),
        session_id: SessionId(Uuid::nil()),
        session_rule: SessionRule::Caller,
        stream_id: StreamId(Uuid::nil()),
        request_id: "id".into(),
        operation: "http.request",
        method: None,
        thread_id: None,
        run_id: None,
    };
    let journal = Journal::open(gateway, facts, Arc::new(Pulse::new()), None);
    drop(journal.write(journal.event(Kind::Request, Outcome::Allowed)));
    tape.answer(Ok(()));
    journal
}

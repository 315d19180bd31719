//! The journal of one stream: an exchange, an upgraded connection, or a run that is watched. It
//! numbers the stream's records densely, in the order in which they are handed to the recorder,
//! and ends with one closing record that says how many there are.
//!
//! After the closing record nothing can be written any more, so what is not in a record by then
//! can't take effect either.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures::FutureExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use trailgate_identity::Identity;
use trailgate_schemas::{
    Actor, AssistantId, AuditEvent, AuthMethod, Decision, HoldId, Kind, Micros, Outcome, Place,
    Required, Resource, RunId, SessionId, SessionRule, SourceAddress, StreamId, ThreadId,
};

use crate::gateway::Gateway;
use crate::pulse::Pulse;
use crate::recorder::{Recording, Unrecorded};

/// Who acts in a stream.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// A verified caller.
    Caller(Arc<Identity>),
    /// Nobody could be verified.
    Unverified,
    /// The gateway itself.
    Gateway,
}

/// What all records of a stream have in common.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) who: Who,
    pub(crate) source: SourceAddress,
    pub(crate) resource: Resource,
    pub(crate) tenant: Arc<str>,
    pub(crate) connection: Arc<str>,
    pub(crate) session_id: SessionId,
    pub(crate) session_rule: SessionRule,
    pub(crate) stream_id: StreamId,
    /// The gateway's id of the exchange that the stream belongs to.
    pub(crate) request_id: Arc<str>,
    pub(crate) operation: &'static str,
    pub(crate) method: Option<Arc<str>>,
    pub(crate) thread_id: Option<ThreadId>,
    pub(crate) run_id: Option<RunId>,
}

/// The journal of one stream.
#[derive(Debug)]
pub(crate) struct Journal {
    gateway: Arc<Gateway>,
    facts: Facts,
    found: Found,
    holds_session: AtomicBool,
    state: Mutex<State>,
    pulse: Arc<Pulse>,
    /// The exchange's place among those that may be under way.
    _slot: Option<OwnedSemaphorePermit>,
}

/// What is learnt of a stream after it was opened.
#[derive(Debug, Default)]
struct Found {
    run: OnceLock<(RunId, Option<ThreadId>)>,
    assistant: OnceLock<AssistantId>,
    mark: OnceLock<&'static str>,
    /// The rule by which it is held, and that rule's version.
    rule: OnceLock<(String, String)>,
    hold: OnceLock<HoldId>,
}

#[derive(Debug)]
struct State {
    next: i64,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// A record failed; only the closing record is still written.
    Broken,
    Closed,
}

/// What a stream must have for its closing to say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Least {
    OneBefore,
    Itself,
}

/// The stream is closed or broken: nothing more is recorded, so nothing more may take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

/// A record that waits for its acknowledgement.
pub(crate) struct Pending {
    pub(crate) recording: Recording,
    pub(crate) since: Instant,
    was_refused: bool,
}

impl Journal {
    pub(crate) fn open(
        gateway: Arc<Gateway>,
        facts: Facts,
        pulse: Arc<Pulse>,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Arc<Self> {
        pulse.opened();
        gateway.metrics.in_flight.inc();
        Arc::new(Self {
            gateway,
            facts,
            found: Found::default(),
            holds_session: AtomicBool::new(false),
            state: Mutex::new(State { next: 0, end: End::Open }),
            pulse,
            _slot: slot,
        })
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    pub(crate) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    pub(crate) fn now(&self) -> Micros {
        self.gateway.clock.now()
    }

    /// Says which run the stream turned out to be about.
    pub(crate) fn bind_run(&self, run: RunId, thread: Option<ThreadId>) {
        // The first to know it is right: a stream is about one run.
        let _ = self.found.run.set((run, thread));
    }

    /// Says which assistant it is about.
    pub(crate) fn bind_assistant(&self, assistant: Option<AssistantId>) {
        if let Some(assistant) = assistant {
            let _ = self.found.assistant.set(assistant);
        }
    }

    /// Says by which rule, of which version, it is held.
    pub(crate) fn bind_rule(&self, rule: &str, version: &str) {
        let _ = self.found.rule.set((rule.to_owned(), version.to_owned()));
    }

    /// Says as what it is held.
    pub(crate) fn bind_hold(&self, hold: HoldId) {
        let _ = self.found.hold.set(hold);
    }

    /// Adds a factor of risk to every record from here on.
    pub(crate) fn mark(&self, factor: &'static str) {
        let _ = self.found.mark.set(factor);
    }

    /// The stream counts as an exchange of its session until it is gone.
    pub(crate) fn hold_session(&self) {
        self.holds_session.store(true, Ordering::Relaxed);
    }

    /// An event of this stream; its number comes when it is written.
    pub(crate) fn event(&self, kind: Kind, outcome: Outcome) -> AuditEvent {
        let facts = &self.facts;
        let gateway = &self.gateway;
        let required = Required {
            actor: facts.who.actor(),
            kind,
            gateway_time: gateway.clock.now(),
            outcome,
            source_address: facts.source.clone(),
            resource: facts.resource.clone(),
        };
        let place = Place {
            tenant: facts.tenant.to_string(),
            connection: facts.connection.to_string(),
            session_id: facts.session_id,
            session_rule: facts.session_rule,
            stream_id: facts.stream_id,
            stream_seq: 0,
        };
        let mut event = AuditEvent::new(gateway.ids.event(), required, place);
        facts.who.describe(&mut event);
        event.request_id = Some(facts.request_id.to_string());
        event.operation = Some(facts.operation.to_string());
        event.method = facts.method.as_ref().map(ToString::to_string);
        event.thread_id = facts.thread_id;
        event.run_id = facts.run_id;
        if let Some((run, thread)) = self.found.run.get() {
            event.run_id = Some(*run);
            event.thread_id = event.thread_id.or(*thread);
        }
        event.assistant_id = self.found.assistant.get().copied();
        event.risk_factors.extend(self.found.mark.get().map(ToString::to_string));
        if let Some((rule, version)) = self.found.rule.get() {
            event.policy_id = Some(rule.clone());
            event.policy_version = Some(version.clone());
        }
        event.hold_id = self.found.hold.get().copied();
        event
    }

    /// An event about something that was let through.
    pub(crate) fn allowed(&self, kind: Kind, outcome: Outcome) -> AuditEvent {
        let mut event = self.event(kind, outcome);
        event.decision = Some(Decision::Allow);
        event
    }

    /// Numbers an event and hands it to the recorder.
    pub(crate) fn write(&self, mut event: AuditEvent) -> Result<Pending, Ended> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.end != End::Open {
            return Err(Ended);
        }
        event.stream_seq = state.next;
        // Under the lock, so that the recorder sees the numbers in order.
        let pending = self.gateway.hand_over(event);
        if !pending.was_refused() {
            state.next += 1;
        }
        Ok(pending)
    }

    /// Numbers the closing event and hands it to the recorder; none if the stream is closed or
    /// has no record yet.
    pub(crate) fn close(&self, event: AuditEvent) -> Option<Pending> {
        let event = self.closing(event, Least::OneBefore)?;
        Some(self.gateway.hand_over(event))
    }

    /// Closes the stream in a task that outlives whoever asks for it. The first to close wins.
    pub(crate) fn close_behind(&self, event: AuditEvent) {
        if let Some(event) = self.closing(event, Least::OneBefore) {
            self.gateway.record_behind(event);
        }
    }

    /// Like [`Self::close_behind`], of a stream that may have no other record.
    pub(crate) fn close_even_empty(&self, event: AuditEvent) {
        if let Some(event) = self.closing(event, Least::Itself) {
            self.gateway.record_behind(event);
        }
    }

    /// A record failed: from now on only the closing record is written.
    pub(crate) fn break_off(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.end == End::Open {
            state.end = End::Broken;
        }
    }

    /// Why whoever waited for more has gone.
    pub(crate) fn gone(&self) -> &'static str {
        if self.gateway.stop.is_asked() {
            "gateway_stopped"
        } else if self.pulse.is_stalled() {
            "stalled"
        } else {
            "client_gone"
        }
    }

    /// Whether a record failed.
    pub(crate) fn is_broken(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).end == End::Broken
    }

    /// Whether the closing record was handed over.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).end == End::Closed
    }

    fn closing(&self, mut event: AuditEvent, least: Least) -> Option<AuditEvent> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.end == End::Closed {
            return None;
        }
        state.end = End::Closed;
        if state.next == 0 && least == Least::OneBefore {
            return None;
        }
        event.stream_seq = state.next;
        state.next += 1;
        event.stream_count = Some(state.next);
        self.gateway.metrics.closed(event.outcome);
        Some(event)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.pulse.closed();
        self.gateway.metrics.in_flight.dec();
        if self.holds_session.load(Ordering::Relaxed) {
            self.gateway.sessions.leave(self.facts.session_id, self.gateway.clock.now());
        }
    }
}

impl Pending {
    /// A recording that was just begun. Looked at once: one that was not taken takes no number.
    pub(crate) fn new(mut recording: Recording) -> Self {
        let since = Instant::now();
        let early = (&mut recording).now_or_never();
        let was_refused = early == Some(Err(Unrecorded::NotTaken));
        if let Some(outcome) = early {
            recording = Box::pin(std::future::ready(outcome));
        }
        Self { recording, since, was_refused }
    }

    /// Whether it was not taken in the first place.
    pub(crate) const fn was_refused(&self) -> bool {
        self.was_refused
    }

    /// Waits for the acknowledgement.
    pub(crate) async fn settled(self, gateway: &Gateway) -> Result<(), Unrecorded> {
        let outcome = self.recording.await;
        gateway.metrics.acknowledged(self.since, &outcome);
        outcome
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

impl Who {
    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::Caller(identity) => {
                // A verified subject is never empty.
                Actor::new(identity.subject.as_str()).unwrap_or_else(|_| Actor::unverified())
            }
            Self::Unverified => Actor::unverified(),
            Self::Gateway => Actor::stage(STAGE),
        }
    }

    pub(crate) fn describe(&self, event: &mut AuditEvent) {
        match self {
            Self::Caller(identity) => {
                event.actor_issuer = Some(identity.issuer.clone());
                event.actor_groups.clone_from(&identity.groups);
                event.auth_method = identity.method;
            }
            Self::Unverified => event.auth_method = AuthMethod::None,
            Self::Gateway => event.auth_method = AuthMethod::Stage,
        }
    }
}

/// From where the gateway's own acts come.
pub(crate) fn gateway_address() -> SourceAddress {
    SourceAddress::new(STAGE).unwrap_or_else(|_| unreachable!("a literal that is not empty"))
}

/// What the gateway's own acts are about.
pub(crate) fn stage_resource() -> Resource {
    Resource::new(STAGE).unwrap_or_else(|_| unreachable!("a literal that is not empty"))
}

const STAGE: &str = "ingest-proxy";

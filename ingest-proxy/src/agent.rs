//! The answers of an Agent Server on their way to the client: what `langgraph` makes of them, put
//! between the upstream and the relay. Nodes are told here and recorded in the exchange's stream;
//! runs whose answer tells of no node are joined beside it.

use std::sync::{Arc, PoisonError};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use trailgate_schemas::{Kind, Outcome, RunId, SessionThing, ThreadId};

use crate::door::Door;
use crate::exchange::Admitted;
use crate::join::{Join, look_up};
use crate::journal::{Facts, Journal};
use crate::langgraph::limits::ANSWER_BODY_MAX_BYTES;
use crate::langgraph::{
    AnswerDuty, Claim, CreateStyle, OnDisconnect, Operation, RunPlace, RunStream, Step, StripPlan,
    ThreadStream, restore_runs, scrub,
};
use crate::media::Media;
use crate::node::{node_event, unfinished_event, unreadable_event};
use crate::relay::{Filter, Outlives, Passed};

/// What is put between the upstream and the relay.
pub(crate) struct Filtering {
    pub(crate) filter: Box<dyn Filter>,
    /// Who reads on when the client goes away.
    pub(crate) outlives: Option<Outlives<Incoming>>,
}

/// What is known of the run or runs that a request created.
pub(crate) struct Created<'a> {
    pub(crate) place: Option<RunPlace>,
    pub(crate) admitted: &'a Admitted,
    pub(crate) operation: Operation,
    pub(crate) own_head: HeaderMap,
}

/// What has to be done to a successful answer, if anything.
pub(crate) async fn agent_filter(
    door: &Arc<Door>,
    journal: &Arc<Journal>,
    (media, created): (&Media, Created<'_>),
) -> Option<Filtering> {
    let is_stream = media.is("text/event-stream");
    match created.operation.answer_duty() {
        AnswerDuty::CreatorStream if is_stream => creator(journal, &created),
        AnswerDuty::JoinedStream if is_stream => Some(joined(door, journal, created).await),
        AnswerDuty::ThreadStream if is_stream => Some(thread(journal, &created)),
        AnswerDuty::Runs if media.is("application/json") => Some(runs(door, journal, created)),
        AnswerDuty::Scrub if media.is("application/json") => {
            Some(Filtering::only(Whole::new(Arc::clone(journal), Duty::Scrub)))
        }
        AnswerDuty::Pass => {
            waited(door, journal, created);
            None
        }
        AnswerDuty::CreatorStream
        | AnswerDuty::JoinedStream
        | AnswerDuty::ThreadStream
        | AnswerDuty::Runs
        | AnswerDuty::Scrub => None,
    }
}

fn creator(journal: &Arc<Journal>, created: &Created<'_>) -> Option<Filtering> {
    let Admitted::Run(run) = created.admitted else { return None };
    let plan = Arc::new(run.plan.clone());
    if let Some(place) = created.place {
        remember(journal, place, &plan);
        claim(journal, place.run);
    }
    let stream = RunStream::of_creator(created.place.map(|place| place.run), plan);
    let outlives: Option<Outlives<Incoming>> = match run.on_disconnect {
        OnDisconnect::Continue => Some(Box::new(read_on)),
        OnDisconnect::Cancel => None,
    };
    let filter = Box::new(RunFilter { journal: Arc::clone(journal), stream, steps: Vec::new() });
    Some(Filtering { filter, outlives })
}

/// What was added to the run that a join is about: known here, or asked of the server.
pub(crate) async fn plan_of_join(
    door: &Arc<Door>,
    journal: &Journal,
    (operation, own_head): (Operation, HeaderMap),
) -> Option<Arc<StripPlan>> {
    let (thread, run) = (operation.thread_id(), operation.run_id()?);
    if let Some(known) = plan_of(journal, run) {
        return Some(known);
    }
    let plan = Arc::new(look_up(door, (thread?, run), own_head).await?);
    // Not as under way on its thread: it may have ended long ago.
    remember(journal, RunPlace { thread: None, run }, &plan);
    Some(plan)
}

async fn joined(door: &Arc<Door>, journal: &Arc<Journal>, created: Created<'_>) -> Filtering {
    let plan = plan_of_join(door, journal, (created.operation, created.own_head)).await;
    let stream = RunStream::of_join(plan);
    Filtering::only(RunFilter { journal: Arc::clone(journal), stream, steps: Vec::new() })
}

fn thread(journal: &Arc<Journal>, created: &Created<'_>) -> Filtering {
    let running = created.operation.thread_id().and_then(|thread| running_on(journal, thread));
    let stream = ThreadStream::new(running);
    Filtering::only(ThreadFilter { journal: Arc::clone(journal), stream, forward: Vec::new() })
}

fn runs(door: &Arc<Door>, journal: &Arc<Journal>, created: Created<'_>) -> Filtering {
    let plans: Vec<Arc<StripPlan>> = match created.admitted {
        Admitted::Run(run) => vec![Arc::new(run.plan.clone())],
        Admitted::Batch(runs) => runs.iter().map(|run| Arc::new(run.plan.clone())).collect(),
        Admitted::Command(_) | Admitted::Unread => Vec::new(),
    };
    let own = matches!(created.operation, Operation::RunCreateBatch);
    let joins = Joins { door: Arc::clone(door), plans, own_head: created.own_head, own };
    Filtering::only(Whole::new(Arc::clone(journal), Duty::Runs(Box::new(joins))))
}

/// A run whose creator waits for its last values: its nodes are told beside the answer.
fn waited(door: &Arc<Door>, journal: &Arc<Journal>, created: Created<'_>) {
    let is_wait = matches!(created.operation, Operation::RunCreate(CreateStyle::Wait, _));
    let (true, Some(place), Admitted::Run(run)) = (is_wait, created.place, created.admitted) else {
        return;
    };
    let plan = Arc::new(run.plan.clone());
    join(door, journal, (place, &plan), (created.own_head, journal.facts().clone()));
}

fn join(
    door: &Arc<Door>,
    journal: &Arc<Journal>,
    (place, plan): (RunPlace, &Arc<StripPlan>),
    (own_head, facts): (HeaderMap, Facts),
) {
    remember(journal, place, plan);
    if claim(journal, place.run) == Claim::Granted {
        Join { door: Arc::clone(door), place, own_head, facts }.start();
    }
}

/// The stream of one run.
struct RunFilter {
    journal: Arc<Journal>,
    stream: RunStream,
    steps: Vec<Step>,
}

impl RunFilter {
    fn pass(&mut self, out: &mut Vec<Passed>) {
        if let Some(run) = self.stream.nodes().and_then(crate::langgraph::Nodes::run) {
            self.journal.bind_run(run, None);
        }
        for step in self.steps.drain(..) {
            out.extend(told_events(&self.journal, step.told));
            out.extend(step.forward.map(Passed::Bytes));
        }
    }
}

impl Filter for RunFilter {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Passed>) {
        self.stream.push(bytes, &mut self.steps);
        self.pass(out);
    }

    fn end(&mut self, _clean: bool, out: &mut Vec<Passed>) {
        self.steps.extend(self.stream.finish());
        self.pass(out);
        out.extend(ended_events(&self.journal, &self.stream));
    }
}

/// What a frame told, as events.
pub(crate) fn told_events(journal: &Journal, told: crate::langgraph::Told) -> Option<Passed> {
    use crate::langgraph::Told;
    let event = match told {
        Told::Nothing => return None,
        Told::Node(node) => node_event(journal, *node),
        Told::Unreadable => unreadable_event(journal),
    };
    Some(Passed::Event(Box::new(event)))
}

/// The end of a run's stream: what began and did not end is unknown.
pub(crate) fn ended_events(journal: &Journal, stream: &RunStream) -> Vec<Passed> {
    let Some(nodes) = stream.nodes() else { return Vec::new() };
    if let Some(run) = nodes.run() {
        let mut runs = journal.gateway().runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.ended(run);
    }
    nodes.open().map(|task| Passed::Event(Box::new(unfinished_event(journal, task)))).collect()
}

/// The streams of a thread's runs.
struct ThreadFilter {
    journal: Arc<Journal>,
    stream: ThreadStream,
    forward: Vec<Bytes>,
}

impl Filter for ThreadFilter {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Passed>) {
        let journal = &self.journal;
        self.stream.push(bytes, |run| plan_of(journal, run), &mut self.forward);
        out.extend(self.forward.drain(..).map(Passed::Bytes));
    }

    fn end(&mut self, _clean: bool, out: &mut Vec<Passed>) {
        let journal = &self.journal;
        out.extend(self.stream.finish(|run| plan_of(journal, run)).map(Passed::Bytes));
    }
}

/// An answer that is read whole, up to a bound; beyond it, it passes as it is.
struct Whole {
    journal: Arc<Journal>,
    held: BytesMut,
    places: Vec<OwnedSemaphorePermit>,
    duty: Option<Duty>,
}

enum Duty {
    Runs(Box<Joins>),
    Scrub,
}

/// What is needed to join the runs that an answer names.
struct Joins {
    door: Arc<Door>,
    plans: Vec<Arc<StripPlan>>,
    own_head: HeaderMap,
    /// Whether each run is a session of its own.
    own: bool,
}

impl Whole {
    fn new(journal: Arc<Journal>, duty: Duty) -> Self {
        Self { journal, held: BytesMut::new(), places: Vec::new(), duty: Some(duty) }
    }

    fn has_place_for(&mut self, bytes: usize) -> bool {
        if self.held.len() + bytes > ANSWER_BODY_MAX_BYTES {
            return false;
        }
        let whole_bytes = Arc::clone(&self.journal.gateway().whole_bytes);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let place = whole_bytes.try_acquire_many_owned(permits);
        place.map(|place| self.places.push(place)).is_ok()
    }
}

impl Filter for Whole {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Passed>) {
        if self.duty.is_some() && self.has_place_for(bytes.len()) {
            self.held.extend_from_slice(&bytes);
            return;
        }
        if self.duty.take().is_some() {
            self.journal.gateway().metrics.failed("answer_not_restored");
            out.push(Passed::Bytes(std::mem::take(&mut self.held).freeze()));
            self.places.clear();
        }
        out.push(Passed::Bytes(bytes));
    }

    fn end(&mut self, _clean: bool, out: &mut Vec<Passed>) {
        let Some(duty) = self.duty.take() else { return };
        let held = std::mem::take(&mut self.held).freeze();
        let kept = match duty {
            Duty::Scrub => scrub(&held),
            Duty::Runs(joins) => {
                joins.start(&self.journal, &held);
                restore_runs(&held)
            }
        };
        let bytes = match kept {
            std::borrow::Cow::Borrowed(_) => held,
            std::borrow::Cow::Owned(kept) => Bytes::from(kept),
        };
        if !bytes.is_empty() {
            out.push(Passed::Bytes(bytes));
        }
        self.places.clear();
    }
}

impl Joins {
    fn start(self, journal: &Arc<Journal>, body: &[u8]) {
        if self.plans.is_empty() {
            return;
        }
        for (place, plan) in RunPlace::from_created(body).into_iter().zip(&self.plans) {
            let Some(place) = place else { continue };
            let mut facts = journal.facts().clone();
            if self.own {
                let room = self.door.room(&SessionThing::StatelessRun(place.run));
                (facts.session_id, facts.session_rule) = (room.id, room.rule);
            } else {
                journal.bind_run(place.run, place.thread);
            }
            join(&self.door, journal, (place, plan), (self.own_head.clone(), facts));
        }
    }
}

/// The client went away and the run goes on: its nodes are told as long as it does.
fn read_on(mut source: Incoming, mut filter: Box<dyn Filter>, journal: Arc<Journal>) {
    let gateway = Arc::clone(journal.gateway());
    gateway.spawn(async move {
        let stop = journal.gateway().stop.clone();
        let mut passed = Vec::new();
        loop {
            let frame = tokio::select! {
                frame = source.frame() => frame,
                () = stop.asked() => None,
            };
            let clean = frame.is_none();
            match frame {
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    filter.push(bytes, &mut passed);
                }
                Some(Err(_)) | None => {
                    filter.end(clean, &mut passed);
                    let _ = write_events(&journal, &mut passed).await;
                    break;
                }
            }
            if write_events(&journal, &mut passed).await.is_err() {
                break;
            }
        }
        let mut event = journal.allowed(Kind::Response, Outcome::Unknown);
        event.reason = Some("client_gone".to_owned());
        journal.close_behind(event);
    });
}

/// A record failed.
pub(crate) struct Unwritten;

/// Records the events among what passed, and waits for them; the bytes have nobody to go to.
pub(crate) async fn write_events(
    journal: &Journal,
    passed: &mut Vec<Passed>,
) -> Result<(), Unwritten> {
    let mut pending = Vec::new();
    for one in passed.drain(..) {
        if let Passed::Event(event) = one {
            pending.push(journal.write(*event).map_err(|_| Unwritten)?);
        }
    }
    for one in pending {
        if one.settled(journal.gateway()).await.is_err() {
            journal.break_off();
            return Err(Unwritten);
        }
    }
    Ok(())
}

impl Filtering {
    fn only(filter: impl Filter + 'static) -> Self {
        Self { filter: Box::new(filter), outlives: None }
    }
}

fn remember(journal: &Journal, place: RunPlace, plan: &Arc<StripPlan>) {
    let mut runs = journal.gateway().runs.lock().unwrap_or_else(PoisonError::into_inner);
    runs.remember(place, Arc::clone(plan));
}

fn claim(journal: &Journal, run: RunId) -> Claim {
    journal.gateway().runs.lock().unwrap_or_else(PoisonError::into_inner).claim(run)
}

fn plan_of(journal: &Journal, run: RunId) -> Option<Arc<StripPlan>> {
    journal.gateway().runs.lock().unwrap_or_else(PoisonError::into_inner).plan(run)
}

fn running_on(journal: &Journal, thread: ThreadId) -> Option<RunId> {
    journal.gateway().runs.lock().unwrap_or_else(PoisonError::into_inner).running_on(thread)
}

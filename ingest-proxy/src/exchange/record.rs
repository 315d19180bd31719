//! Recording the request: its head and the first of its body are durable before this step gives
//! anything on; the rest is recorded as the upstream takes it. A body that admission must read is
//! read whole here, and what the upstream gets in its place comes out.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::future::poll_fn;
use http::StatusCode;
use http::request::Parts;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trailgate_identity::Problem;
use trailgate_schemas::{Kind, Outcome};

use crate::credentials::{recorded_headers, scrubbed};
use crate::exchange::Exchange;
use crate::exchange::accept::{CallerAt, Upgrade};
use crate::exchange::authorise::{Allowed, Asked};
use crate::exchange::hold::{AskedHold, WholeHold};
use crate::exchange::refuse::{Failed, Stopped, request_id, source};
use crate::journal::{Facts, Journal, Pending, Who};
use crate::langgraph::{
    AdmitError, AdmittedRun, BodyDuty, Command, admit_batch, admit_command, admit_cron, admit_run,
    clean_metadata,
};
use crate::limits::{ADMIT_INLINE_MAX_BYTES, FIRST_REQUEST_PIECE_WAIT, RECORDED_HEADERS_MAX_BYTES};
use crate::media::Media;
use crate::payload::Payload;
use crate::relay::{Cut, Head, Relay, Side};
use crate::sessions::{Entered, Room, closed_event};

/// A request whose record is durable, as far as it has arrived.
pub(crate) struct Recorded {
    pub(crate) caller: CallerAt,
    pub(crate) exchange: Exchange,
    pub(crate) head: Parts,
    pub(crate) payload: Payload,
    pub(crate) asked: Asked,
    pub(crate) admitted: Admitted,
    pub(crate) upgrade: Option<Upgrade>,
    pub(crate) hold: Option<WholeHold>,
}

/// What admission found in a request's body.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// Nothing had to be looked for.
    Unread,
    Run(AdmittedRun),
    Batch(Vec<AdmittedRun>),
    Command(Command),
}

impl Allowed {
    pub(super) async fn record(self) -> Result<Recorded, Stopped> {
        let thing = self.session_thing();
        let Self { arrived, identity, asked, hold, _permit } = self;
        let (caller, head) = (arrived.caller, arrived.head);
        let room = caller.door.room(&thing);
        let facts = facts(&caller, &head, asked, (Who::Caller(identity), &room));
        let gateway = Arc::clone(&caller.door.gateway);
        let journal = Journal::open(gateway, facts, arrived.pulse, Some(arrived.slot));
        let exchange = Exchange::open(Arc::clone(&journal));
        if let Some(AskedHold { ruling, .. }) = &hold {
            journal.bind_rule(&ruling.name, &ruling.version);
        }
        let mut relay = Relay::new(
            arrived.body,
            Side::Request,
            Arc::clone(&journal),
            Media::of(&head.headers),
            (recorded_head(&caller, &head), caller.door.record_max_bytes),
        );
        let opened = open_session(&journal, &room);
        let is_new = opened.is_some();
        if let Some(pending) = opened {
            relay.behind(pending);
        }
        if let Err(cut) = relay.begin(FIRST_REQUEST_PIECE_WAIT).await {
            if is_new {
                journal.gateway().sessions.forget(room.id);
            }
            return Err(cut_short(exchange, cut, &caller));
        }
        let duty = match asked {
            Asked::Langgraph(operation) => operation.body_duty(),
            Asked::Http | Asked::Upgrade => BodyDuty::Pass,
        };
        let upgrade = arrived.upgrade;
        let bound = WholeBound::of(duty, hold.as_ref(), &caller);
        let read = read(exchange, relay, (duty, bound), &caller).await?;
        let Read { exchange, body, admitted } = read;
        let (payload, hold) = match (body, hold) {
            (Body::Passing(relay), None) if relay.is_end_stream() => (Payload::Empty, None),
            (Body::Passing(relay), None) => (Payload::Relay(relay), None),
            (Body::Whole(body, place), Some(hold)) => {
                let shown = (recorded_head(&caller, &head), Media::of(&head.headers));
                (Payload::whole(body.clone()), Some(hold.whole(body, shown, place)))
            }
            (Body::Whole(body, _), None) => (Payload::whole(body), None),
            // What is held was read whole.
            (Body::Passing(_), Some(_)) => return Err(cut_short(exchange, Cut::Closed, &caller)),
        };
        Ok(Recorded { caller, exchange, head, payload, asked, admitted, upgrade, hold })
    }
}

struct Read {
    exchange: Exchange,
    body: Body,
    admitted: Admitted,
}

/// A request's body.
enum Body {
    /// It goes on as it comes.
    Passing(Box<Relay<Incoming>>),
    /// It was read whole.
    Whole(Bytes, WholePlace),
}

/// How much of a body may be read whole, and what is said of a longer one.
struct WholeBound {
    max: usize,
    code: &'static str,
    status: StatusCode,
    /// Bytes of all such bodies together.
    bytes: Arc<Semaphore>,
}

impl WholeBound {
    /// None if the body need not be read whole.
    fn of(duty: BodyDuty, hold: Option<&AskedHold>, caller: &CallerAt) -> Option<Self> {
        let door = &caller.door;
        match (hold, duty) {
            (Some(AskedHold { holds, .. }), _) => Some(Self {
                max: holds.max_bytes,
                code: "hold_too_large",
                status: StatusCode::FORBIDDEN,
                bytes: Arc::clone(&holds.bytes),
            }),
            (None, BodyDuty::Pass) => None,
            (None, _) => Some(Self {
                max: door.run_max_bytes,
                code: "body_too_long",
                status: StatusCode::PAYLOAD_TOO_LARGE,
                bytes: Arc::clone(&door.gateway.whole_bytes),
            }),
        }
    }
}

async fn read(
    exchange: Exchange,
    relay: Relay<Incoming>,
    (duty, bound): (BodyDuty, Option<WholeBound>),
    caller: &CallerAt,
) -> Result<Read, Stopped> {
    let Some(bound) = bound else {
        let body = Body::Passing(Box::new(relay));
        return Ok(Read { exchange, body, admitted: Admitted::Unread });
    };
    let (body, place) = match collect(relay, &bound).await {
        Ok(collected) => collected,
        Err(Uncollected::Cut(cut)) => return Err(cut_short(exchange, cut, caller)),
        Err(Uncollected::Refused(problem)) => return Err(denied(exchange, *problem)),
    };
    let request = caller.id.0;
    let admitting = move || admit(&body, duty, request);
    let admitted = if place.is_large() {
        // Reading megabytes of JSON is no work for the threads that everybody waits for.
        match tokio::task::spawn_blocking(admitting).await {
            Ok(admitted) => admitted,
            Err(_) => return Err(cut_short(exchange, Cut::Closed, caller)),
        }
    } else {
        admitting()
    };
    match admitted {
        Ok((body, admitted, forged)) => {
            if let Admitted::Run(run) = &admitted {
                exchange.journal.bind_assistant(run.assistant);
            }
            if forged > 0 {
                exchange.journal.mark("forged_metadata");
            }
            Ok(Read { exchange, body: Body::Whole(body, place), admitted })
        }
        Err(error) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let problem = Problem::new(error.code(), status, "The body can't be read")
                .detail(error.to_string());
            Err(denied(exchange, problem))
        }
    }
}

fn admit(
    body: &Bytes,
    duty: BodyDuty,
    request: uuid::Uuid,
) -> Result<(Bytes, Admitted, u32), AdmitError> {
    Ok(match duty {
        BodyDuty::Pass => (body.clone(), Admitted::Unread, 0),
        BodyDuty::AdmitRun(style) => {
            let admitted = admit_run(body, style, request)?;
            let forged = admitted.run.forged;
            (admitted.body, Admitted::Run(admitted.run), forged)
        }
        BodyDuty::AdmitBatch => {
            let admitted = admit_batch(body, request)?;
            let forged = admitted.runs.iter().map(|run| run.forged).sum();
            (admitted.body, Admitted::Batch(admitted.runs), forged)
        }
        BodyDuty::AdmitCron => {
            let (body, forged) = admit_cron(body, request)?;
            (body, Admitted::Unread, forged)
        }
        BodyDuty::AdmitCommand => {
            let admitted = admit_command(body, request)?;
            (admitted.body, Admitted::Command(admitted.command), admitted.forged)
        }
        BodyDuty::CleanMetadata => {
            let (body, forged) = clean_metadata(body)?;
            (body, Admitted::Unread, forged)
        }
    })
}

enum Uncollected {
    Cut(Cut),
    Refused(Box<Problem>),
}

/// The place that a body read whole takes in memory.
pub(crate) struct WholePlace {
    bytes: usize,
    /// One for all of it: a body may come byte by byte.
    permit: Option<OwnedSemaphorePermit>,
}

impl WholePlace {
    fn is_large(&self) -> bool {
        self.bytes > ADMIT_INLINE_MAX_BYTES
    }
}

/// Reads the rest of a body, as it is recorded.
async fn collect(
    mut relay: Relay<Incoming>,
    bound: &WholeBound,
) -> Result<(Bytes, WholePlace), Uncollected> {
    let mut place = WholePlace { bytes: 0, permit: None };
    let mut whole = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| std::pin::Pin::new(&mut relay).poll_frame(cx)).await {
        let Ok(bytes) = frame.map_err(Uncollected::Cut)?.into_data() else { continue };
        if whole.len() + bytes.len() > bound.max {
            let problem = Problem::new(bound.code, bound.status, "The body is too long")
                .detail("This body has to be read whole before it may pass.")
                .with("limit", bound.max);
            return Err(Uncollected::Refused(Box::new(problem)));
        }
        let permits = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        match Arc::clone(&bound.bytes).try_acquire_many_owned(permits) {
            Ok(more) => match &mut place.permit {
                Some(permit) => permit.merge(more),
                none @ None => *none = Some(more),
            },
            Err(_) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let problem = Problem::new("overloaded", status, "Too much is under way")
                    .retry_after(std::time::Duration::from_secs(1));
                return Err(Uncollected::Refused(Box::new(problem)));
            }
        }
        whole.extend_from_slice(&bytes);
    }
    place.bytes = whole.len();
    Ok((whole.freeze(), place))
}

/// An exchange that is not let through after its request was recorded.
fn denied(exchange: Exchange, problem: Problem) -> Stopped {
    Stopped::Failed(Box::new(Failed { exchange, problem, outcome: Outcome::Denied }))
}

fn cut_short(exchange: Exchange, cut: Cut, caller: &CallerAt) -> Stopped {
    match cut {
        Cut::Unrecorded | Cut::Closed => {
            let journal = exchange.hand_on(Outcome::Failed);
            let mut event = journal.allowed(Kind::Request, Outcome::Failed);
            event.reason = Some("record_unavailable".to_owned());
            journal.close_behind(event);
            journal.gateway().metrics.failed("record_unavailable");
            Stopped::Unrecorded(request_id(caller))
        }
        Cut::SenderGone => {
            let status = StatusCode::BAD_REQUEST;
            let problem = Problem::new("body_broke_off", status, "The body broke off");
            Stopped::Failed(Box::new(Failed { exchange, problem, outcome: Outcome::Failed }))
        }
    }
}

fn facts(caller: &CallerAt, head: &Parts, asked: Asked, (who, room): (Who, &Room)) -> Facts {
    let door = &caller.door;
    Facts {
        who,
        source: source(caller),
        resource: door.resource(head.uri.path()),
        tenant: Arc::clone(&door.tenant),
        connection: Arc::clone(&door.name),
        session_id: room.id,
        session_rule: room.rule,
        stream_id: caller.id,
        request_id: caller.id.to_string().into(),
        operation: asked.operation(),
        method: Some(head.method.as_str().into()),
        thread_id: match asked {
            Asked::Langgraph(operation) => operation.thread_id(),
            Asked::Http | Asked::Upgrade => None,
        },
        run_id: match asked {
            Asked::Langgraph(operation) => operation.run_id(),
            Asked::Http | Asked::Upgrade => None,
        },
    }
}

fn recorded_head(caller: &CallerAt, head: &Parts) -> Head {
    let keys = &caller.door.gateway.keys;
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    // The head's bound lets it fit; what is left over is escaping.
    let (headers, truncated) = recorded_headers(&head.headers, keys, RECORDED_HEADERS_MAX_BYTES);
    Head {
        status: None,
        path: Some(scrubbed(target, keys).into_owned()),
        headers: Some(headers),
        truncated,
    }
}

/// Enters the session; if it is new, the record that says so.
fn open_session(journal: &Arc<Journal>, room: &Room) -> Option<Pending> {
    let gateway = journal.gateway();
    let entered = gateway.sessions.enter(room, gateway.clock.now());
    journal.hold_session();
    match entered {
        Entered::Known => None,
        Entered::New(evicted) => {
            if let Some(evicted) = evicted {
                gateway.record_behind(closed_event(gateway, evicted, "too_many_sessions"));
            }
            gateway.metrics.sessions.set(i64::try_from(gateway.sessions.count()).unwrap_or(0));
            // The stream was just opened, so it takes records.
            journal.write(journal.event(Kind::SessionOpened, Outcome::Started)).ok()
        }
    }
}

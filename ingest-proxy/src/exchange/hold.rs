//! Holding: what a rule holds waits here until a person has decided, with its body in memory, exactly
//! as the upstream will get it.
//!
//! In this order, each durable before the next: the request's records, the exact bytes sealed on
//! `audit.spool`, the event `held`. What can't be recorded is not held but refused, and what is held
//! passes by one decision that fits it, or not at all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Method, StatusCode};
use http_body::Body as _;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use trailgate_identity::{Identity, Problem};
use trailgate_policy::Asked as AskedOfRules;
use trailgate_schemas::{
    AuditEvent, Decision, HoldDecision, HoldState, Kind, Outcome, PayloadState, Principal,
};

use crate::exchange::accept::Arrived;
use crate::exchange::authorise::Asked;
use crate::exchange::claim::OpenClaim;
use crate::exchange::prepare::{Cleared, Prepared};
use crate::exchange::record::WholePlace;
use crate::exchange::refuse::{Failed, Refused, Stopped, request_id};
use crate::gateway::Gateway;
use crate::head::{X_REQUEST_ID, other_methods};
use crate::holds::{Bound, Exact, ExactOf, Holds, NoSeat, Ruling, Seat, Waiting};
use crate::journal::{Journal, Who};
use crate::langgraph::Operation;
use crate::limits::{HELD_BEATS, PIECE_MAX_BYTES};
use crate::media::Media;
use crate::piece::{Cutter, PieceText};
use crate::relay::Head;

/// A request that a rule holds, before its body is read.
pub(crate) struct AskedHold {
    pub(crate) holds: Arc<Holds>,
    pub(crate) ruling: Ruling,
    seat: Seat,
}

/// A request that a rule holds, with all of its body.
pub(crate) struct WholeHold {
    asked: AskedHold,
    body: Bytes,
    /// What its head says to who decides.
    shown: Head,
    media: Media,
    /// Its body's share of the memory there is for those that wait.
    _place: WholePlace,
}

/// How a wait ended.
enum Ended {
    Decided(Box<HoldDecision>),
    Expired,
    Stopping,
}

/// Whether a rule holds the request: then it needs a place among those that wait.
pub(super) fn ask_to_hold(
    arrived: Arrived,
    identity: &Arc<Identity>,
    asked: Asked,
    path: &str,
) -> Result<(Arrived, Option<AskedHold>), Stopped> {
    let Some(holds) = arrived.caller.door.gateway.holds.clone() else {
        return Ok((arrived, None));
    };
    let Some(ruling) = ruling(&holds, &arrived, (identity, asked), path) else {
        return Ok((arrived, None));
    };
    let requester =
        Principal { issuer: identity.issuer.clone(), subject: identity.subject.clone() };
    let seated = match &arrived.upgrade {
        // What comes behind a change of protocol could not be shown to anybody.
        Some(_) => Err(not_possible()),
        None => holds.seat(requester).map_err(no_seat),
    };
    match seated {
        Ok(seat) => Ok((arrived, Some(AskedHold { holds, ruling, seat }))),
        Err(problem) => {
            let Arrived { caller, head, .. } = arrived;
            let who = (Who::Caller(Arc::clone(identity)), Kind::Denied);
            let refused = Refused::new(caller, &head, asked.operation(), who, problem);
            Err(refused.by(ruling).into())
        }
    }
}

fn ruling(
    holds: &Holds,
    arrived: &Arrived,
    (identity, asked): (&Identity, Asked),
    path: &str,
) -> Option<Ruling> {
    let head = &arrived.head;
    let others: Vec<_> = other_methods(&head.headers, head.uri.query()).collect();
    let mut methods = vec![head.method.as_str()];
    methods.extend(others.iter().map(AsRef::as_ref));
    let operations = match asked {
        Asked::Langgraph(operation) => operations(operation, arrived, &methods),
        Asked::Http | Asked::Upgrade => Vec::new(),
    };
    let mut of_rules = AskedOfRules {
        connection: &arrived.caller.door.name,
        methods: &methods,
        path,
        operations: &operations,
        groups: &identity.groups,
        body_bytes: arrived.body.size_hint().exact(),
    };
    let ruling = holds.ruling(&of_rules);
    let (Asked::Langgraph(operation), Some(_), None) = (asked, &arrived.upgrade, &ruling) else {
        return ruling;
    };
    // What its messages may ask for is asked by another method, of another path, with any body.
    let methods = ["GET", "POST"];
    (of_rules.methods, of_rules.body_bytes) = (&methods, None);
    of_rules.operations = operation.by_message();
    holds.ruling(&of_rules)
}

/// Whatever the server may take it for, if it or something before it takes letters in either case or
/// another method than the request's.
fn operations(asked: Operation, arrived: &Arrived, methods: &[&str]) -> Vec<&'static str> {
    let (door, path) = (&arrived.caller.door, arrived.head.uri.path());
    let (folded, mount) = (path.to_ascii_lowercase(), door.mount_prefix.to_ascii_lowercase());
    let mut found = vec![asked.name()];
    for method in methods {
        let Ok(method) = Method::from_bytes(method.to_ascii_uppercase().as_bytes()) else {
            continue;
        };
        for (path, mount) in [(path, &door.mount_prefix), (&folded, &mount)] {
            // A path that could mean two things was refused before.
            let Ok(operation) = Operation::classify(&method, path, mount) else { continue };
            if !found.contains(&operation.name()) {
                found.push(operation.name());
            }
        }
    }
    found
}

impl AskedHold {
    /// With all of its body, as the upstream will get it.
    pub(super) fn whole(
        self,
        body: Bytes,
        (shown, media): (Head, Media),
        place: WholePlace,
    ) -> WholeHold {
        WholeHold { asked: self, body, shown, media, _place: place }
    }
}

impl Prepared {
    pub(super) async fn hold(self) -> Result<Cleared, Stopped> {
        let Self { cleared, hold } = self;
        match hold {
            None => Ok(cleared),
            // Few requests wait, and those that don't need not carry what waiting takes.
            Some(hold) => Box::pin(hold.wait(cleared)).await,
        }
    }
}

impl WholeHold {
    async fn wait(self, mut cleared: Cleared) -> Result<Cleared, Stopped> {
        let journal = Arc::clone(&cleared.exchange.journal);
        let gateway = Arc::clone(journal.gateway());
        let holds = Arc::clone(&self.asked.holds);
        let deadline = Instant::now() + self.asked.ruling.expires_after;
        let exact = self.exact(&cleared);
        let bound = self.bound(&exact, &gateway);
        journal.bind_hold(bound.hold);
        if holds.keep(bound.hold, &exact).await.is_err() {
            return Err(unrecorded(cleared));
        }
        drop(exact);
        // Before anybody can decide, so that no decision comes too early. Letting the exchange go
        // withdraws it from here on.
        let waiting = holds.waiters.wait(bound.clone());
        cleared.exchange.claim = Some(OpenClaim::new(holds, &bound, &journal));
        let recorded = match journal.write(self.event(&journal, &bound)) {
            Ok(pending) => pending.settled(&gateway).await.is_ok(),
            Err(_) => false,
        };
        if !recorded {
            return Err(unrecorded(cleared));
        }
        match ended(waiting, deadline, &journal).await {
            Ended::Decided(decision) => settle(cleared, &bound, *decision),
            Ended::Expired => Err(late(cleared, &bound)),
            Ended::Stopping => {
                let id = request_id(&cleared.caller);
                cleared.exchange.withdraw("gateway_stopped");
                Err(Stopped::Stopping(id))
            }
        }
    }

    fn exact(&self, cleared: &Cleared) -> Exact {
        let door = &cleared.caller.door;
        let request = &cleared.request;
        let injected = &door.upstream.injected;
        let left_out = |name: &HeaderName| {
            *name == X_REQUEST_ID || injected.iter().any(|(injected, _)| injected == name)
        };
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let of = ExactOf {
            tenant: &door.tenant,
            requester: self.asked.seat.who(),
            connection: &door.name,
            method: request.method().as_str(),
            target,
            headers: request.headers(),
            left_out: &left_out,
        };
        Exact::new(&of, self.body.clone())
    }

    fn bound(&self, exact: &Exact, gateway: &Gateway) -> Bound {
        Bound {
            hold: gateway.ids.hold(),
            claim: gateway.ids.claim(),
            digest: exact.digest(gateway.keys.hold_digest()),
            expires_at: gateway.clock.now().plus(self.asked.ruling.expires_after),
        }
    }

    /// What reviewers are shown, once it is masked: the head, and the body up to what one event
    /// holds.
    fn event(&self, journal: &Journal, bound: &Bound) -> AuditEvent {
        let mut event = journal.event(Kind::Held, Outcome::Interrupted);
        event.decision = Some(Decision::Hold);
        event.hold_claim = Some(bound.claim);
        event.hold_digest = Some(bound.digest.clone());
        event.hold_reviewers.clone_from(&self.asked.ruling.reviewers);
        event.hold_expires_at = Some(bound.expires_at);
        let who = self.asked.seat.who();
        event.hold_requester =
            Some(journal.gateway().keys.session.person(&who.issuer, &who.subject));
        event.path.clone_from(&self.shown.path);
        event.headers.clone_from(&self.shown.headers);
        event.truncated = self.shown.truncated;
        event.payload_bytes = i64::try_from(self.body.len()).ok();
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let room = PIECE_MAX_BYTES - length(&event.headers) - length(&event.path);
        let mut cutter = Cutter::new(self.media.is_textual());
        cutter.push(self.body.clone(), journal.now());
        if let Some(piece) = cutter.cut(room, true) {
            let (text, encoded) = match piece.text {
                PieceText::Plain(text) => (text, false),
                PieceText::Base64(text) => (text, true),
            };
            event.payload_state = PayloadState::Recorded;
            event.payload = Some(text);
            event.payload_type = self.media.recorded(encoded);
            event.truncated |= !cutter.is_empty();
        }
        event
    }
}

/// Waits for a decision until the deadline. The connection does not count as stalled meanwhile.
async fn ended(mut waiting: Waiting, deadline: Instant, journal: &Journal) -> Ended {
    let gateway = journal.gateway();
    let mut beat = interval((gateway.stall / HELD_BEATS).max(Duration::from_millis(1)));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            decision = waiting.decided() => return Ended::Decided(Box::new(decision)),
            () = gateway.stop.asked() => return Ended::Stopping,
            () = sleep_until(deadline) => return Ended::Expired,
            _ = beat.tick() => journal.pulse().beat(),
        }
    }
}

/// Does what was decided. Checked once more: time has passed since the decision was taken up.
fn settle(mut cleared: Cleared, bound: &Bound, decision: HoldDecision) -> Result<Cleared, Stopped> {
    let journal = Arc::clone(&cleared.exchange.journal);
    if bound.fits(&decision, journal.now()).is_err() {
        return Err(late(cleared, bound));
    }
    match decision.state {
        HoldState::Approved => {
            if let Some(claim) = &mut cleared.exchange.claim {
                claim.used(&journal);
            }
            Ok(cleared)
        }
        HoldState::Denied => Err(refused(cleared, bound, denied(decision.reason))),
        HoldState::Expired
        | HoldState::Pending
        | HoldState::Withdrawn
        | HoldState::Executed
        | HoldState::Failed
        | HoldState::Unknown => Err(refused(cleared, bound, expired())),
    }
}

/// The time is over by the gateway's own clock, whatever was decided meanwhile.
fn late(mut cleared: Cleared, bound: &Bound) -> Stopped {
    if let Some(claim) = cleared.exchange.claim.take() {
        claim.given_up(&cleared.exchange.journal);
    }
    refused(cleared, bound, expired())
}

/// It was not let through: the upstream has seen nothing.
fn refused(mut cleared: Cleared, bound: &Bound, problem: Problem) -> Stopped {
    if let Some(claim) = cleared.exchange.claim.take() {
        claim.settled(&cleared.exchange.journal);
    }
    let problem = problem.with("hold_id", bound.hold.to_string());
    let failed = Failed { exchange: cleared.exchange, problem, outcome: Outcome::Denied };
    Stopped::Failed(Box::new(failed))
}

/// It can't be held for want of a record, so it is not asked about either.
fn unrecorded(cleared: Cleared) -> Stopped {
    let Cleared { caller, exchange, .. } = cleared;
    let journal = Arc::clone(&exchange.journal);
    journal.gateway().metrics.failed("record_unavailable");
    if exchange.claim.is_some() {
        exchange.withdraw("record_unavailable");
    } else {
        let journal = exchange.hand_on(Outcome::Failed);
        let mut event = journal.allowed(Kind::Request, Outcome::Failed);
        event.reason = Some("record_unavailable".to_owned());
        journal.close_behind(event);
    }
    Stopped::Unrecorded(request_id(&caller))
}

fn not_possible() -> Problem {
    Problem::new("hold_not_possible", StatusCode::FORBIDDEN, "This can't be held")
        .detail("A rule holds it for a person, and a change of protocol can't wait for one.")
}

fn no_seat(why: NoSeat) -> Problem {
    let (status, title) = match why {
        NoSeat::OfCaller => (StatusCode::TOO_MANY_REQUESTS, "Too many of your requests wait"),
        NoSeat::OfAll => (StatusCode::SERVICE_UNAVAILABLE, "Too many requests wait"),
    };
    Problem::new("too_many_held", status, title)
        .detail("A rule holds it for a person, and too many wait for one already.")
        .retry_after(Duration::from_secs(10))
}

fn denied(reason: Option<String>) -> Problem {
    let problem = Problem::new("approval_denied", StatusCode::FORBIDDEN, "A person said no")
        .detail("The request was not passed on.");
    match reason {
        Some(reason) => problem.with("reason", reason),
        None => problem,
    }
}

fn expired() -> Problem {
    Problem::new("approval_expired", StatusCode::FORBIDDEN, "Nobody decided in time")
        .detail("The request was not passed on.")
}

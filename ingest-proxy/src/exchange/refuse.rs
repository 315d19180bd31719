//! Refusing and failing: what stops an exchange is recorded before it is answered.

use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use trailgate_identity::Problem;
use trailgate_schemas::{
    AuditEvent, Decision, Kind, Outcome, Place, Required, SessionThing, SourceAddress,
};

use crate::credentials::scrubbed;
use crate::exchange::Exchange;
use crate::exchange::accept::CallerAt;
use crate::head::X_REQUEST_ID;
use crate::holds::Ruling;
use crate::journal::Who;
use crate::limits::TARGET_MAX_BYTES;
use crate::payload::Payload;

/// Why an exchange ends without the upstream's answer.
pub(crate) enum Stopped {
    /// It was not let in: nothing is recorded of it yet.
    Refused(Box<Refused>),
    /// It was let in and then failed.
    Failed(Box<Failed>),
    /// A record could not be made durable before the upstream saw anything.
    Unrecorded(HeaderValue),
    /// The upstream was asked, and what became of it could not be recorded.
    AnswerUnrecorded(HeaderValue),
    /// The gateway ends while a person was waited for.
    Stopping(HeaderValue),
}

/// A request that was not let in.
pub(crate) struct Refused {
    caller: CallerAt,
    who: Who,
    kind: Kind,
    problem: Problem,
    operation: &'static str,
    method: Option<String>,
    path: Option<String>,
    resource_path: String,
    /// The rule because of which, and its version.
    rule: Option<(String, String)>,
}

/// An exchange that failed after its request was recorded.
pub(crate) struct Failed {
    pub(crate) exchange: Exchange,
    pub(crate) problem: Problem,
    pub(crate) outcome: Outcome,
}

impl From<Refused> for Stopped {
    fn from(refused: Refused) -> Self {
        Self::Refused(Box::new(refused))
    }
}

impl Refused {
    pub(crate) fn new(
        caller: CallerAt,
        head: &Parts,
        operation: &'static str,
        (who, kind): (Who, Kind),
        problem: Problem,
    ) -> Self {
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let path = scrubbed(cut(target, TARGET_MAX_BYTES), &caller.door.gateway.keys).into_owned();
        Self {
            who,
            kind,
            problem,
            operation,
            method: Some(head.method.as_str().to_owned()),
            path: Some(path),
            resource_path: head.uri.path().to_owned(),
            rule: None,
            caller,
        }
    }

    /// Because of this rule.
    pub(crate) fn by(mut self, ruling: Ruling) -> Self {
        self.rule = Some((ruling.name, ruling.version));
        self
    }

    /// What could not be read as a request; it was answered by whoever tried.
    pub(crate) fn unreadable(caller: CallerAt) -> Self {
        let status = StatusCode::BAD_REQUEST;
        Self {
            who: Who::Unverified,
            kind: Kind::Denied,
            problem: Problem::new("not_http", status, "The request can't be read"),
            operation: "http.request",
            method: None,
            path: None,
            resource_path: String::new(),
            rule: None,
            caller,
        }
    }

    /// Tells of a refusal that is answered already.
    pub(crate) async fn tell(self) {
        let gateway = &self.caller.door.gateway;
        gateway.metrics.refused(self.problem.code());
        let from = self.caller.peer.ip().to_canonical();
        // There is nobody to be told that it could not be recorded.
        let _ = gateway.record_refusal(from, self.event()).await;
    }

    /// A stream of one record.
    fn event(&self) -> AuditEvent {
        let door = &self.caller.door;
        let gateway = &door.gateway;
        let thing = match &self.who {
            Who::Caller(identity) => SessionThing::Caller {
                issuer: identity.issuer.clone(),
                subject: identity.subject.clone(),
            },
            // Whom nobody vouches for has no session with others.
            Who::Unverified | Who::Gateway => SessionThing::Connection(self.caller.id),
        };
        let required = Required {
            actor: self.who.actor(),
            kind: self.kind,
            gateway_time: gateway.clock.now(),
            outcome: Outcome::Denied,
            source_address: source(&self.caller),
            resource: door.resource(&self.resource_path),
        };
        let place = Place {
            tenant: door.tenant.to_string(),
            connection: door.name.to_string(),
            session_id: door.session(&thing),
            session_rule: thing.rule(),
            stream_id: self.caller.id,
            stream_seq: 0,
        };
        let mut event = AuditEvent::new(gateway.ids.event(), required, place);
        self.who.describe(&mut event);
        event.stream_count = Some(1);
        event.request_id = Some(self.caller.id.to_string());
        event.operation = Some(self.operation.to_owned());
        event.method.clone_from(&self.method);
        event.path.clone_from(&self.path);
        event.status = Some(i32::from(self.problem.status().as_u16()));
        event.reason = Some(self.problem.code().to_owned());
        event.decision = Some(Decision::Deny);
        if let Some((rule, version)) = &self.rule {
            event.policy_id = Some(rule.clone());
            event.policy_version = Some(version.clone());
        }
        event
    }
}

impl Stopped {
    pub(super) async fn answer(self) -> Response<Payload> {
        match self {
            Self::Refused(refused) => refused.answer().await,
            Self::Failed(failed) => failed.answer().await,
            Self::Unrecorded(id) => answer(&record_unavailable(), id),
            Self::AnswerUnrecorded(id) => answer(&answer_unrecorded(), id),
            Self::Stopping(id) => answer(&stopping(), id),
        }
    }
}

impl Refused {
    async fn answer(self) -> Response<Payload> {
        let gateway = &self.caller.door.gateway;
        gateway.metrics.refused(self.problem.code());
        let id = request_id(&self.caller);
        let event = self.event();
        match gateway.record_refusal(self.caller.peer.ip().to_canonical(), event).await {
            Ok(event) => answer(&self.problem.event(Some(event)), id),
            Err(_) => answer(&record_unavailable(), id),
        }
    }
}

impl Failed {
    async fn answer(self) -> Response<Payload> {
        let Self { exchange, problem, outcome } = self;
        let journal = exchange.hand_on(outcome);
        let gateway = journal.gateway();
        gateway.metrics.failed(problem.code());
        let id = HeaderValue::from_str(&journal.facts().request_id);
        let id = id.unwrap_or_else(|_| HeaderValue::from_static("-"));
        let mut event = journal.allowed(Kind::Request, outcome);
        if outcome == Outcome::Denied {
            event.decision = Some(Decision::Deny);
        }
        event.status = Some(i32::from(problem.status().as_u16()));
        event.reason = Some(problem.code().to_owned());
        let event_id = event.event_id;
        let unrecorded = || match outcome {
            Outcome::Unknown => answer_unrecorded(),
            _ => record_unavailable(),
        };
        let Some(pending) = journal.close(event) else { return answer(&unrecorded(), id) };
        // In a task, so that a caller who goes away does not hinder it.
        let (sender, recorded) = tokio::sync::oneshot::channel();
        let settling = std::sync::Arc::clone(gateway);
        gateway.spawn(async move {
            // A caller who went away does not listen.
            let _ = sender.send(pending.settled(&settling).await);
        });
        match recorded.await {
            Ok(Ok(())) => answer(&problem.event(Some(event_id)), id),
            Ok(Err(_)) | Err(_) => answer(&unrecorded(), id),
        }
    }
}

/// The id that a caller may name to an operator.
pub(crate) fn request_id(caller: &CallerAt) -> HeaderValue {
    // A UUID can stand in a header.
    HeaderValue::from_str(&caller.id.to_string()).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

/// Where a request came from.
pub(crate) fn source(caller: &CallerAt) -> SourceAddress {
    SourceAddress::new(caller.peer.ip().to_canonical().to_string())
        .unwrap_or_else(|_| unreachable!("an address is never empty"))
}

pub(crate) fn record_unavailable() -> Problem {
    Problem::new(
        "record_unavailable",
        StatusCode::SERVICE_UNAVAILABLE,
        "The request can't be recorded now",
    )
    .detail("What is not recorded does not happen here. Try again later.")
    .retry_after(std::time::Duration::from_secs(1))
}

/// No time to try again: what was asked may have happened.
fn answer_unrecorded() -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new("record_unavailable", status, "The answer can't be recorded now")
        .detail("The upstream was asked; it is not known whether it did what was asked.")
}

fn stopping() -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new("gateway_stopped", status, "The gateway ends")
        .detail("Nobody has decided yet, and the request was not passed on. Ask again.")
        .retry_after(std::time::Duration::from_secs(1))
}

fn answer(problem: &Problem, id: HeaderValue) -> Response<Payload> {
    let mut response = problem.response().map(Payload::whole);
    response.headers_mut().insert(X_REQUEST_ID, id);
    response
}

fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

//! Forwarding: the upstream gets the request, without what was the caller's to prove who it is.

use std::sync::Arc;

use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use trailgate_identity::Problem;
use trailgate_schemas::{Kind, Outcome};

use crate::agent::plan_of_join;
use crate::door::Door;
use crate::exchange::Exchange;
use crate::exchange::accept::{CallerAt, Upgrade};
use crate::exchange::authorise::Asked;
use crate::exchange::record::{Admitted, Recorded};
use crate::exchange::refuse::{Failed, Stopped, request_id};
use crate::head::{Told, to_upstream};
use crate::journal::Journal;
use crate::langgraph::{AnswerDuty, Operation};
use crate::relay::Cut;
use crate::upstream::Failed as UpstreamFailed;

/// A request whose answer begins.
pub(crate) struct Answered {
    pub(crate) caller: CallerAt,
    pub(crate) exchange: Exchange,
    pub(crate) asked: Asked,
    pub(crate) admitted: Admitted,
    pub(crate) upgrade: Option<Upgrade>,
    pub(crate) response: Response<Incoming>,
    /// The head by which the gateway asks the same upstream on the caller's behalf.
    pub(crate) own_head: HeaderMap,
}

impl Recorded {
    pub(super) async fn forward(self) -> Result<Answered, Stopped> {
        let Self { caller, exchange, head, payload, asked, admitted, upgrade } = self;
        let upstream = &caller.door.upstream;
        let asked_host = head.headers.get(HOST).cloned().or_else(|| {
            head.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok())
        });
        let told = Told {
            request_id: request_id(&caller),
            peer: caller.peer.ip().to_canonical(),
            scheme: caller.door.scheme,
            host: upstream.host.clone(),
            asked_host,
            injected: &upstream.injected,
            passed_credentials: &caller.door.passed_credentials,
            upgrade: upgrade.as_ref().map(|upgrade| upgrade.protocol.clone()),
        };
        let mut headers = to_upstream(head.headers, told);
        let own_head = match asked {
            Asked::Langgraph(_) => own_head(&headers),
            Asked::Http | Asked::Upgrade => HeaderMap::new(),
        };
        if let Asked::Langgraph(operation) = asked
            && headers.contains_key(LAST_EVENT_ID)
            && replays_for_us(&caller.door, &exchange.journal, (operation, &own_head)).await
        {
            headers.remove(LAST_EVENT_ID);
        }
        let Ok(uri) = upstream.uri(head.uri.path_and_query()) else {
            let status = StatusCode::BAD_REQUEST;
            let problem = Problem::new("target_unfit", status, "The path can't be passed on");
            return Err(failed(exchange, problem, Outcome::Denied));
        };
        let mut request = Request::new(payload);
        *request.method_mut() = head.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        match upstream.send(request).await {
            Ok(response) => {
                Ok(Answered { caller, exchange, asked, admitted, upgrade, response, own_head })
            }
            Err(error) => Err(unanswered(exchange, error, &caller)),
        }
    }
}

/// What is the caller's choice of answer, and what describes its body, is not for the gateway's own
/// requests.
fn own_head(headers: &HeaderMap) -> HeaderMap {
    let mut own = headers.clone();
    for name in [CONTENT_LENGTH, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE] {
        own.remove(name);
    }
    own.remove(LAST_EVENT_ID);
    own
}

/// Whether a join goes on from an id that its run has for the gateway's sake alone. Without the
/// gateway there would be nothing to replay.
async fn replays_for_us(
    door: &Arc<Door>,
    journal: &Journal,
    (operation, own_head): (Operation, &HeaderMap),
) -> bool {
    if operation.answer_duty() != AnswerDuty::JoinedStream {
        return false;
    }
    let plan = plan_of_join(door, journal, (operation, own_head.clone())).await;
    plan.is_some_and(|plan| plan.drops_ids())
}

fn unanswered(exchange: Exchange, error: UpstreamFailed, caller: &CallerAt) -> Stopped {
    let (problem, outcome) = match error {
        UpstreamFailed::Unreachable => (
            Problem::new(
                "upstream_unreachable",
                StatusCode::BAD_GATEWAY,
                "The upstream can't be reached",
            )
            .detail("The request was not passed on."),
            Outcome::Failed,
        ),
        UpstreamFailed::Broken => (
            Problem::new(
                "upstream_broke_off",
                StatusCode::BAD_GATEWAY,
                "The upstream broke off before it answered",
            )
            .detail("It is not known whether it did what was asked."),
            Outcome::Unknown,
        ),
        UpstreamFailed::TimedOut => (
            Problem::new(
                "upstream_timed_out",
                StatusCode::GATEWAY_TIMEOUT,
                "The upstream did not answer in time",
            )
            .detail("It is not known whether it did what was asked."),
            Outcome::Unknown,
        ),
        UpstreamFailed::Body(Cut::SenderGone) => (
            Problem::new("body_broke_off", StatusCode::BAD_REQUEST, "The body broke off"),
            Outcome::Unknown,
        ),
        UpstreamFailed::Body(Cut::Unrecorded | Cut::Closed) => {
            let journal = exchange.hand_on();
            let mut event = journal.allowed(Kind::Request, Outcome::Unknown);
            event.reason = Some("record_unavailable".to_owned());
            journal.close_behind(event);
            journal.gateway().metrics.failed("record_unavailable");
            return Stopped::AnswerUnrecorded(request_id(caller));
        }
    };
    failed(exchange, problem, outcome)
}

fn failed(exchange: Exchange, problem: Problem, outcome: Outcome) -> Stopped {
    Stopped::Failed(Box::new(Failed { exchange, problem, outcome }))
}

/// Where an event stream goes on; not among the library's names.
const LAST_EVENT_ID: &str = "last-event-id";

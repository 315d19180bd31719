//! Preparing: the request exactly as the upstream will get it, without what was the caller's to prove
//! who it is. From here on nothing of it changes: what is held is what is sent.

use std::sync::Arc;

use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use trailgate_identity::Problem;
use trailgate_schemas::Outcome;

use crate::agent::plan_of_join;
use crate::door::Door;
use crate::exchange::Exchange;
use crate::exchange::accept::{CallerAt, Upgrade};
use crate::exchange::authorise::Asked;
use crate::exchange::hold::WholeHold;
use crate::exchange::record::{Admitted, Recorded};
use crate::exchange::refuse::{Failed, Stopped, request_id};
use crate::head::{Told, to_upstream};
use crate::journal::Journal;
use crate::langgraph::{AnswerDuty, Operation};
use crate::payload::Payload;

/// A request as the upstream will get it, unless it must wait for a person.
pub(crate) struct Prepared {
    pub(crate) cleared: Cleared,
    pub(crate) hold: Option<WholeHold>,
}

/// A request as the upstream gets it.
pub(crate) struct Cleared {
    pub(crate) caller: CallerAt,
    pub(crate) exchange: Exchange,
    pub(crate) request: Request<Payload>,
    pub(crate) asked: Asked,
    pub(crate) admitted: Admitted,
    pub(crate) upgrade: Option<Upgrade>,
    /// The head by which the gateway asks the same upstream on the caller's behalf.
    pub(crate) own_head: HeaderMap,
}

impl Recorded {
    pub(super) async fn prepare(self) -> Result<Prepared, Stopped> {
        let Self { caller, exchange, head, payload, asked, admitted, upgrade, hold } = self;
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
        // Asking is left out where a person must agree first: the upstream sees nothing before.
        if let (Asked::Langgraph(operation), None) = (asked, &hold)
            && headers.contains_key(LAST_EVENT_ID)
            && replays_for_us(&caller.door, &exchange.journal, (operation, &own_head)).await
        {
            headers.remove(LAST_EVENT_ID);
        }
        let Ok(uri) = upstream.uri(head.uri.path_and_query()) else {
            let status = StatusCode::BAD_REQUEST;
            let problem = Problem::new("target_unfit", status, "The path can't be passed on");
            let failed = Failed { exchange, problem, outcome: Outcome::Denied };
            return Err(Stopped::Failed(Box::new(failed)));
        };
        let mut request = Request::new(payload);
        *request.method_mut() = head.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let cleared = Cleared { caller, exchange, request, asked, admitted, upgrade, own_head };
        Ok(Prepared { cleared, hold })
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

/// Where an event stream goes on; not among the library's names.
const LAST_EVENT_ID: &str = "last-event-id";
